import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { PartialJSONObject } from '@lumino/coreutils';

/** What can be asked of the server. Names and fields are those of `openapi.yaml`. */
export class RestAPI {
  constructor(readonly settings: ServerConnection.ISettings) {}

  engine(): Promise<Engine> {
    return this._ask('engine');
  }

  machine(): Promise<IMachine> {
    return this._ask('machine');
  }

  /** What each card does at this time. */
  cards(): Promise<ICardUse[]> {
    return this._ask('machine/cards');
  }

  catalog(): Promise<ICatalog> {
    return this._ask('catalog');
  }

  /** The images of a release, each with its verdict on this machine. */
  release(tensorflow: string): Promise<ICatalog> {
    return this._ask(`catalog?${String(new URLSearchParams({ tensorflow }))}`);
  }

  environments(): Promise<AnyEnvironment[]> {
    return this._ask('environments');
  }

  /** Make the environment of a release. */
  createEnvironment(tensorflow: string, device: Device): Promise<IEnvironment> {
    return this._post('environments', { tensorflow, device });
  }

  /** Make an environment as it is described. */
  makeEnvironment(name: string, fields: IFields): Promise<IEnvironment> {
    return this._post('environments', { name, ...fields });
  }

  /** Make an environment from an export. */
  importEnvironment(document: unknown): Promise<IEnvironment> {
    return this._post('environments', { document });
  }

  /** What would come of making or changing an environment. */
  draft(name: string, isNew: boolean, fields: IFields): Promise<IDraft> {
    return this._post('drafts', { name, new: isNew, ...fields });
  }

  changeEnvironment(name: string, change: IFields | { hidden: boolean }): Promise<IEnvironment> {
    return this._ask(`environments/${name}`, { method: 'PATCH', body: JSON.stringify(change) });
  }

  copyEnvironment(name: string, copy: string, displayName: string): Promise<IEnvironment> {
    return this._post(`environments/${name}/copy`, { name: copy, display_name: displayName });
  }

  exportEnvironment(name: string): Promise<PartialJSONObject> {
    return this._ask(`environments/${name}/export`);
  }

  /** Delete an environment, or hide one that is not the person's own. */
  deleteEnvironment(name: string): Promise<void> {
    return this._ask(`environments/${name}`, { method: 'DELETE' });
  }

  containers(): Promise<IContainer[]> {
    return this._ask('containers');
  }

  /** What each container uses at this time. */
  stats(): Promise<IStats[]> {
    return this._ask('containers/stats');
  }

  /**
   * Read a container's log until it ends.
   *
   * @param id The container's.
   * @param take Gets what was printed, as it comes.
   * @param signal Ends it earlier.
   */
  async followLog(id: string, take: (text: string) => void, signal: AbortSignal): Promise<void> {
    const path = `containers/${id}/logs?follow=true&tail=10000`;
    const url = URLExt.join(this.settings.baseUrl, 'api/tfcontainer', path);
    const response = await ServerConnection.makeRequest(url, { signal }, this.settings);
    if (!response.ok || !response.body) {
      const failure = `${String(response.status)} ${response.statusText}`;
      throw new RequestError(failure, response.status);
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      take(value);
    }
  }

  /** What the kernel in a container has said of late. */
  output(id: string): Promise<IOutput> {
    return this._ask(`containers/${id}/output`);
  }

  /** Open one of Jupyter's terminals in a container; its name comes back. */
  async openTerminal(id: string, root: boolean): Promise<string> {
    return (await this._post<{ name: string }>(`containers/${id}/terminals`, { root })).name;
  }

  /** The ports that a container's environment declares, and those at which somebody listens. */
  ports(id: string): Promise<IPort[]> {
    return this._ask(`containers/${id}/ports`);
  }

  /** Have TensorBoard run in a container, and wait until it listens. */
  tensorBoard(id: string, logdir: string): Promise<{ port: number; url: string }> {
    return this._post(`containers/${id}/tensorboard`, { logdir });
  }

  /** Start a container that the next kernel of its environment takes; with that one's home, or an empty one. */
  startAhead(environment: string, home: 'kept' | 'temporary' = 'kept'): Promise<IContainer> {
    return this._post('containers', { environment, home });
  }

  /** What takes room on the disk. It is counted for this answer. */
  disk(): Promise<IDisk> {
    return this._ask('disk');
  }

  /** Remove what is in the home of an environment. */
  resetHome(environment: string): Promise<void> {
    return this._ask(`disk/homes/${environment}`, { method: 'DELETE' });
  }

  /** Remove the folders that were left behind. */
  clearFolders(): Promise<void> {
    return this._ask('disk/folders', { method: 'DELETE' });
  }

  /** Restart the kernel of a container in a new one. */
  restartFresh(id: string): Promise<IContainer> {
    return this._post(`containers/${id}/restart-fresh`);
  }

  /** Remove a container, and its kernel with it. */
  removeContainer(id: string): Promise<void> {
    return this._ask(`containers/${id}`, { method: 'DELETE' });
  }

  images(): Promise<IEngineImage[]> {
    return this._ask('images');
  }

  /** Begin to pull an image. */
  pull(reference: string): Promise<IOperation> {
    return this._post('images', { source: 'pull', reference });
  }

  /** Begin to put ipykernel into an image. */
  prepare(reference: string): Promise<IOperation> {
    return this._post('images', { source: 'prepare', reference });
  }

  /** Begin to build an image. */
  build(build: IBuild): Promise<IOperation> {
    return this._post('images', { source: 'build', ...build });
  }

  /** Begin to read the images in a file of the workspace. */
  loadArchive(path: string): Promise<IOperation> {
    return this._post('images', { source: 'load', path });
  }

  /** Begin to write an image to a file of the workspace. */
  saveArchive(reference: string, path: string): Promise<IOperation> {
    return this._post('images', { source: 'save', reference, path });
  }

  /** Begin to make an image of what is in a container, and an environment of that. */
  snapshot(container: string, name: string, displayName: string): Promise<IOperation> {
    const environment = { name, display_name: displayName };
    return this._post('images', { source: 'snapshot', container, environment });
  }

  /** Remove an image or one of its names, also one that something would miss. */
  removeImage(reference: string, force: boolean): Promise<void> {
    const query = new URLSearchParams({ reference, force: String(force) });
    return this._ask(`images?${String(query)}`, { method: 'DELETE' });
  }

  operations(): Promise<IOperation[]> {
    return this._ask('operations');
  }

  /** One, with its log. */
  operation(id: string): Promise<IOperationLog> {
    return this._ask(`operations/${id}`);
  }

  cancelOperation(id: string): Promise<void> {
    return this._ask(`operations/${id}`, { method: 'DELETE' });
  }

  private _post<T>(path: string, body?: unknown): Promise<T> {
    return this._ask(path, { method: 'POST', body: JSON.stringify(body ?? {}) });
  }

  /**
   * Ask the server.
   *
   * @throws RequestError with the server's sentence.
   */
  private async _ask<T>(path: string, init: RequestInit = {}): Promise<T> {
    const url = URLExt.join(this.settings.baseUrl, 'api/tfcontainer', path);
    const response = await ServerConnection.makeRequest(url, init, this.settings);
    const failure = `${String(response.status)} ${response.statusText}`;
    const text = await response.text();
    if (response.ok && text === '') {
      return undefined as T;
    }
    let model: unknown;
    try {
      model = JSON.parse(text);
    } catch {
      // A server without the extension answers with a page.
      throw new RequestError(failure, response.status);
    }
    if (!response.ok) {
      const { message } = model as { message?: unknown };
      throw new RequestError(typeof message === 'string' ? message : failure, response.status);
    }
    return model as T;
  }
}

/** The server refused, or could not be understood. */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly status: number
  ) {
    super(message);
  }
}

export type Device = 'cpu' | 'gpu';

export interface IEngine {
  state: 'ready';
  kind: 'docker' | 'podman';
  version: string;
  host: string;
  rootless: boolean;
  operating_system: string;
  architecture: string;
  cpus: number;
  memory: number;
}

/** Why there is no engine. */
export interface IMissingEngine {
  state: 'missing';
  message: string;
}

export type Engine = IEngine | IMissingEngine;

export interface ICard {
  index: number;
  uuid: string;
  name: string;
  compute_capability: [number, number];
  /** In bytes. */
  memory: number;
}

/** What the driver does not tell is null. */
export interface ICardUse {
  uuid: string;
  /** In bytes, whoever uses them. */
  memory: number | null;
  memory_total: number | null;
  /** From 0 to 1. */
  utilization: number | null;
}

export interface IMachine {
  architecture: string;
  /** Null where that is not known. */
  avx: boolean | null;
  driver: string | null;
  /** Why the cards could not be read. */
  problem: string | null;
  cards: ICard[];
}

export interface IVerdict {
  word: 'works' | 'warns' | 'cannot';
  /** The gravest first; English sentences. */
  reasons: { sentence: string }[];
}

export interface IKnownImage {
  reference: string;
  tensorflow: string | null;
  device: Device;
  python: string | null;
  jupyter: boolean | null;
  cuda: { version: string } | null;
  cudnn: string | null;
  minimum_driver: string | null;
}

export interface IImage extends IKnownImage {
  verdict: IVerdict;
}

export interface ICatalog {
  images: IImage[];
  /** The reference of the image to prefer. */
  best: Record<Device, string | null>;
}

export interface IMount {
  source: string;
  target: string;
  read_only: boolean;
}

interface IAnyEnvironment {
  name: string;
  display_name: string;
  /** Whether it is the person's, to be changed and deleted. */
  own: boolean;
  /** Whether launchers leave it out. */
  hidden: boolean;
}

/** One that cannot be read. */
export interface IUnreadableEnvironment extends IAnyEnvironment {
  error: string;
}

export interface IEnvironment extends IAnyEnvironment {
  image: string;
  gpus: 'all' | 'none' | number | string[];
  memory: number | null;
  cpus: number | null;
  shm_size: number;
  network: string;
  pull_policy: string;
  user: string;
  mounts: IMount[];
  ports: number[];
  preload: string[];
  standby: number | null;
  /** The names of its variables. */
  env: string[];
  /** What is known of its image. */
  catalog: IKnownImage | null;
  verdict: IVerdict | null;
}

export type AnyEnvironment = IEnvironment | IUnreadableEnvironment;

/** What is said of an environment where it is made or changed. */
export interface IFields {
  display_name?: string;
  config: PartialJSONObject;
  env?: Record<string, string | null>;
}

export interface IDraft {
  environment: IEnvironment | null;
  problem: string | null;
  /** Why it could be made and yet may not run. */
  refused: string | null;
}

export interface IContainer {
  id: string;
  environment: string;
  display_name: string;
  image: string;
  python: string;
  workspace: string;
  /** The notebook's path on the host; empty where that is not known. */
  notebook: string;
  /** Whether its home is an empty one that goes with it. */
  temporary_home: boolean;
  created: string;
  kernel: { id: string; ready: boolean } | null;
  state: 'running' | 'standby' | 'idle' | 'elsewhere' | 'ended';
}

export interface IPort {
  port: number;
  declared: boolean;
  listening: boolean;
  url: string;
}

export interface IStats {
  id: string;
  /** By the engine's clock, in seconds. */
  time: number;
  memory: number;
  memory_limit: number | null;
  /** Since the container's start. */
  cpu_seconds: number;
  /** In processors. */
  cpu_limit: number | null;
  pids: number;
  /** On all cards; null where that is not known, and where it was given none. */
  gpu_memory: number | null;
}

export interface IEngineImage {
  id: string;
  references: string[];
  size: number;
  /** What no other image shares; null where nobody has counted. */
  unique_size: number | null;
  created: string;
  origin: 'pulled' | 'prepared' | 'built' | 'snapshot' | 'other';
  /** The name of the image that it was made of, where that is known. */
  parent: string | null;
  /** Names of environments, ids of containers. */
  used_by: { environments: string[]; containers: string[] };
  inside: { python: string | null; ipykernel: string | null; tensorflow: string | null } | null;
  /** Whether nothing uses it. */
  freeable: boolean;
}

/** What a kernel has said. */
export interface IOutput {
  output: string;
  /** Whether nothing of it had to make room for what came later. */
  complete: boolean;
}

export interface IHome {
  environment: string;
  path: string;
  /** In bytes. */
  size: number;
  /** Whether all could be read; else it is more. */
  complete: boolean;
  /** Whether there is no environment of that name any more. */
  orphan: boolean;
  /** Ids of those that have it; null where no engine answers. */
  containers: string[] | null;
}

/** What takes room on the disk; sizes are in bytes. */
export interface IDisk {
  host: string;
  disks: { folder: string; free: number; total: number }[];
  /** The largest first. */
  homes: IHome[];
  folders: { size: number; left_behind: number };
  /** Those that were made here; null where no engine answers. */
  images: IEngineImage[] | null;
}

export interface IProgress {
  bytes: number;
  /** Grows until `final`. */
  total: number | null;
  final: boolean;
  layers_done: number;
  layers: number;
  phase: string;
  seconds_left: number | null;
}

/** Something long on an image. */
export interface IOperation {
  id: string;
  kind: 'pull' | 'prepare' | 'build' | 'snapshot' | 'load' | 'save';
  reference: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  message: string;
  progress: IProgress | null;
}

/** The same with what it printed. */
export interface IOperationLog extends IOperation {
  /** The last lines. */
  log: string[];
  /** How many there have been. */
  lines: number;
}

/** What an image is to be built of: a Dockerfile, or an image and packages. */
export interface IBuild {
  dockerfile?: string;
  base?: string;
  apt?: string[];
  pip?: string[];
  reference?: string;
  environment?: PartialJSONObject;
}
