import type { IStats } from '../restapi';

/** How far back the graphs go, in seconds. */
export const WINDOW = 120;

/** What a container used at one time. */
export interface ISample {
  /** By the engine's clock, in seconds. */
  time: number;
  memory: number;
  /** In processors: 1.5 is one and a half; null at the first time, as it takes two. */
  cpu: number | null;
  /** On the cards; null where that is not known. */
  gpuMemory: number | null;
}

/** What a container has used lately. */
export class Figures {
  /** The oldest first. */
  get samples(): readonly ISample[] {
    return this._samples;
  }

  get last(): ISample | undefined {
    return this._samples.at(-1);
  }

  /** In bytes; null if it has none. */
  memoryLimit: number | null = null;

  /** In processors; null if it has none. */
  cpuLimit: number | null = null;

  /** Take notice of what the server tells. */
  add(stats: IStats): void {
    const { time, memory, cpu_seconds, gpu_memory: gpuMemory } = stats;
    this.memoryLimit = stats.memory_limit;
    this.cpuLimit = stats.cpu_limit;
    const passed = time - this._time;
    if (passed <= 0) {
      // Podman's own figures are renewed every five seconds.
      return;
    }
    const cpu = this._samples.length > 0 ? Math.max(0, cpu_seconds - this._used) / passed : null;
    this._time = time;
    this._used = cpu_seconds;
    this._samples.push({ time, memory, cpu, gpuMemory });
    // One more than are in sight: a line begins at the edge.
    while (this._samples.length > 1 && (this._samples[1]?.time ?? time) < time - WINDOW) {
      this._samples.shift();
    }
  }

  private readonly _samples: ISample[] = [];
  private _time = 0;
  private _used = 0;
}
