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

/** What a kernel has said. */
export interface IOutput {
  output: string;
  /** Whether nothing of it had to make room for what came later. */
  complete: boolean;
}
