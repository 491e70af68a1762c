import type { IEngineImage } from './images';

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
