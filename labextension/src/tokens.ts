/** The schema of the events that tell what a kernel's container does. */
export const KERNEL_STATE = 'https://events.jupyter.org/jupyter_tfcontainer/kernel_state/v1';

/** The schema of the events that tell that the list of environments is not what it was. */
export const ENVIRONMENTS = 'https://events.jupyter.org/jupyter_tfcontainer/environments/v1';

/** The schema of the events that tell how an operation on an image stands. */
export const OPERATION = 'https://events.jupyter.org/jupyter_tfcontainer/operation/v1';

/** How far a pull is. */
export interface IPullProgress {
  /** Bytes that are here. */
  current: number;
  /** Bytes known of: it grows until every layer has told its size. */
  total: number;
  layers_done: number;
  layers: number;
  /** Whether every layer has told its size. */
  sized: boolean;
}

/** What is there in every event, whatever the state. */
interface IKernelEvent {
  kernel_id: string;
  /** The name of its kernelspec. */
  environment: string;
  display_name: string;
  /** An English sentence: only for what we have no translation of. */
  message: string;
}

export interface IKernelStarting extends IKernelEvent {
  state: 'starting';
  step?: string;
  /** Id of the container, once there is one. */
  container?: string;
  progress?: IPullProgress;
}

export interface IKernelDead extends IKernelEvent {
  state: 'dead';
  reason?: string;
  exit_code?: number;
  signal?: string;
  /** Bytes the container may use. */
  memory_limit?: number;
  /** The last lines of the container's log. */
  log?: string;
}

export interface IKernelRunning extends IKernelEvent {
  state: 'running';
  /** What is to be said of the environment on this machine, though it runs. */
  caveats: string[];
}

export interface IKernelFailed extends IKernelEvent {
  state: 'failed';
}

export type KernelEvent = IKernelStarting | IKernelRunning | IKernelDead | IKernelFailed;

/**
 * Read an event of the server.
 *
 * @returns The event, or null if it is not one of ours or makes no sense: an older page must survive a newer server.
 */
export function parseKernelEvent(emission: unknown): KernelEvent | null {
  if (!isObject(emission) || emission.schema_id !== KERNEL_STATE) {
    return null;
  }
  const { kernel_id, environment, display_name, message, state } = emission;
  if (typeof kernel_id !== 'string' || typeof display_name !== 'string') {
    return null;
  }
  const common = {
    kernel_id,
    environment: typeof environment === 'string' ? environment : '',
    display_name,
    message: typeof message === 'string' ? message : ''
  };
  switch (state) {
    case 'starting':
      return {
        ...common,
        state,
        ...strings(emission, 'step', 'container'),
        ...progress(emission.progress)
      };
    case 'dead':
      return {
        ...common,
        state,
        ...strings(emission, 'reason', 'signal', 'log'),
        ...numbers(emission, 'exit_code', 'memory_limit')
      };
    case 'running':
      return { ...common, state, caveats: list(emission.caveats) };
    case 'failed':
      return { ...common, state };
    default:
      return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function progress(value: unknown): { progress?: IPullProgress } {
  if (!isObject(value)) {
    return {};
  }
  const found = {
    current: 0,
    total: 0,
    layers_done: 0,
    layers: 0,
    sized: value.sized === true,
    ...numbers(value, 'current', 'total', 'layers_done', 'layers')
  };
  return { progress: found };
}

/** The strings in a list. */
function list(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : [];
}

/** The named fields that are strings. */
function strings<K extends string>(
  from: Record<string, unknown>,
  ...keys: K[]
): Partial<Record<K, string>> {
  const found: Partial<Record<K, string>> = {};
  for (const key of keys) {
    const value = from[key];
    if (typeof value === 'string') {
      found[key] = value;
    }
  }
  return found;
}

/** The named fields that are numbers. */
function numbers<K extends string>(
  from: Record<string, unknown>,
  ...keys: K[]
): Partial<Record<K, number>> {
  const found: Partial<Record<K, number>> = {};
  for (const key of keys) {
    const value = from[key];
    if (typeof value === 'number') {
      found[key] = value;
    }
  }
  return found;
}
