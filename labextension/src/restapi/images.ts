import type { PartialJSONObject } from '@lumino/coreutils';

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

/** What an image is to be built of: a Dockerfile, or an image and packages. */
export interface IBuild {
  dockerfile?: string;
  base?: string;
  apt?: string[];
  pip?: string[];
  reference?: string;
  environment?: PartialJSONObject;
}
