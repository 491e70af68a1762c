import type { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

import type { Device, ICatalog, IEnvironment, IFields, IImage, IMachine } from '../restapi';

/** What a person fills in. Numbers are texts here: the server says what is wrong with them. */
export interface IForm {
  /** What is picked from the catalog; null for any image. */
  choice: IChoice | null;
  image: string;
  displayName: string;
  gpus: string;
  memory: string;
  cpus: string;
  shmSize: string;
  network: string;
  pullPolicy: string;
  user: string;
  /** A line for each, `NAME=VALUE`. */
  env: string;
  /** A line for each, `SOURCE:TARGET` with `:ro` behind for one that is only read. */
  mounts: string;
  ports: string;
  preload: string;
  standby: string;
}

export interface IChoice {
  tensorflow: string;
  device: Device;
  reference: string;
}

/** An empty form. */
export const EMPTY: IForm = {
  choice: null,
  image: '',
  displayName: '',
  gpus: 'none',
  memory: '',
  cpus: '',
  shmSize: '',
  network: 'bridge',
  pullPolicy: 'missing',
  user: 'me',
  env: '',
  mounts: '',
  ports: '',
  preload: '',
  standby: ''
};

/** The releases of a catalog, the newest first. */
export function releases({ images }: ICatalog): string[] {
  const versions = new Set(images.flatMap(({ tensorflow }) => tensorflow ?? []));
  return [...versions].sort((one, other) => other.localeCompare(one, 'en', { numeric: true }));
}

/** The devices that a release has images for. */
export function devices({ images }: ICatalog, tensorflow: string): Device[] {
  return (['cpu', 'gpu'] as const).filter(device =>
    images.some(each => each.tensorflow === tensorflow && each.device === device)
  );
}

/** The images of a release, the one to prefer first: Python 3 before 2, with Jupyter before without, the shortest name. */
export function candidates({ images }: ICatalog, tensorflow: string, device: Device): IImage[] {
  const rank = (image: IImage) => [
    -Number(image.python?.split('.')[0] ?? (image.reference.includes('-py3') ? 3 : 0)),
    image.jupyter ? 0 : 1,
    image.reference.length
  ];
  return images
    .filter(each => each.tensorflow === tensorflow && each.device === device)
    .sort((one, other) => {
      const ranks = rank(other);
      return rank(one).reduce((before, value, index) => before || value - (ranks[index] ?? 0), 0);
    });
}

/** What to offer first on this machine: for its cards if it has any, else for the processor. */
export function best(catalog: ICatalog, machine: IMachine | null): IChoice | null {
  const order: Device[] = machine && machine.cards.length > 0 ? ['gpu', 'cpu'] : ['cpu', 'gpu'];
  for (const device of order) {
    const image = catalog.images.find(each => each.reference === catalog.best[device]);
    if (image?.tensorflow) {
      return { tensorflow: image.tensorflow, device, reference: image.reference };
    }
  }
  return null;
}

/** A choice with another release or device: the rest of it stays as far as there is such an image. */
export function choose(
  catalog: ICatalog,
  before: IChoice | null,
  tensorflow: string,
  device: Device
): IChoice | null {
  const there = devices(catalog, tensorflow);
  const chosen = there.includes(device) ? device : there[0];
  if (!chosen) {
    return null;
  }
  const images = candidates(catalog, tensorflow, chosen);
  const python = catalog.images.find(each => each.reference === before?.reference)?.python;
  const image = images.find(each => each.python === python) ?? images[0];
  return image ? { tensorflow, device: chosen, reference: image.reference } : null;
}

/** What a choice is called in the launcher. */
export function choiceName({ tensorflow, device }: IChoice): string {
  return `TF ${tensorflow} ${device.toUpperCase()}`;
}

/** The form of an environment that there is. */
export function formOf(environment: IEnvironment): IForm {
  const { gpus, memory, cpus, shm_size, mounts } = environment;
  return {
    choice: null,
    image: environment.image,
    displayName: environment.display_name,
    gpus: Array.isArray(gpus) ? gpus.join(', ') : String(gpus),
    memory: size(memory),
    cpus: cpus === null ? '' : String(cpus),
    shmSize: shm_size === DEFAULT_SHM ? '' : size(shm_size),
    network: environment.network,
    pullPolicy: environment.pull_policy,
    user: environment.user,
    // Values stay on the server: they are not for everybody who sees the screen.
    env: environment.env.join('\n'),
    mounts: mounts
      .map(({ source, target, read_only }) => `${source}:${target}${read_only ? ':ro' : ''}`)
      .join('\n'),
    ports: environment.ports.join(', '),
    preload: environment.preload.join(', '),
    standby: environment.standby === null ? '' : String(environment.standby)
  };
}

/**
 * What a form says, for the server.
 *
 * @param form It.
 * @param before The environment that is changed; null for a new one.
 */
export function fieldsOf(form: IForm, before: IEnvironment | null): IFields {
  const all: PartialJSONObject = {
    image: form.choice?.reference ?? form.image.trim(),
    gpus: form.choice
      ? form.choice.device === 'gpu'
        ? gpusOf(form.gpus, 'all')
        : null
      : gpusOf(form.gpus, null),
    memory: form.memory.trim() || null,
    cpus: numberOf(form.cpus),
    shm_size: form.shmSize.trim() || null,
    network: form.network === 'bridge' ? null : form.network,
    pull_policy: form.pullPolicy === 'missing' ? null : form.pullPolicy,
    user: form.user.trim() === 'me' ? null : form.user.trim() || null,
    mounts: lines(form.mounts).map(mountOf),
    ports: words(form.ports).map(word => numberOf(word) ?? word),
    preload: words(form.preload),
    standby: numberOf(form.standby)
  };
  const config: PartialJSONObject = {};
  for (const [name, value] of Object.entries(all)) {
    const plain = value === null || (Array.isArray(value) && value.length === 0);
    if (!plain) {
      config[name] = value;
    } else if (before) {
      config[name] = null;
    }
  }
  return {
    ...(form.displayName.trim() ? { display_name: form.displayName.trim() } : {}),
    config,
    env: envOf(form.env, before?.env ?? [])
  };
}

const DEFAULT_SHM = 2 ** 30;

/** Bytes, as a person would write them. */
function size(bytes: number | null): string {
  if (bytes === null) {
    return '';
  }
  for (const [unit, factor] of [
    ['g', 2 ** 30],
    ['m', 2 ** 20],
    ['k', 2 ** 10]
  ] as const) {
    if (bytes % factor === 0) {
      return `${String(bytes / factor)}${unit}`;
    }
  }
  return String(bytes);
}

/** A number if it is one; else the text itself, for the server to refuse. */
function numberOf(text: string): number | string | null {
  const trimmed = text.trim();
  if (trimmed === '') {
    return null;
  }
  const number = Number(trimmed);
  return Number.isNaN(number) ? trimmed : number;
}

function gpusOf(text: string, otherwise: string | null): PartialJSONValue | undefined {
  const found = words(text);
  const [first = 'none'] = found;
  if (found.length > 1 || first.startsWith('GPU-')) {
    return found;
  }
  return first === 'none' ? otherwise : (numberOf(first) ?? otherwise);
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '');
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(word => word !== '');
}

function mountOf(line: string): PartialJSONObject {
  const [, source = line, target = '', how] = /^(.*?):(.*?)(?::(ro|rw))?$/.exec(line) ?? [];
  return { source, target, read_only: how === 'ro' };
}

/** Variables: a line with a value sets one, one without keeps what there is, and what has no line goes. */
function envOf(text: string, before: string[]): Record<string, string | null> {
  const env: Record<string, string | null> = {};
  const named = new Set<string>();
  for (const line of lines(text)) {
    const at = line.indexOf('=');
    const name = (at < 0 ? line : line.slice(0, at)).trim();
    named.add(name);
    if (at >= 0) {
      env[name] = line.slice(at + 1);
    } else if (!before.includes(name)) {
      env[name] = '';
    }
  }
  for (const name of before) {
    if (!named.has(name)) {
      env[name] = null;
    }
  }
  return env;
}
