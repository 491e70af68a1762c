import type { PartialJSONObject } from '@lumino/coreutils';

import type { IKnownImage, IVerdict } from './catalog';

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
