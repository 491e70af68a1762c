import { describe, expect, it } from 'vitest';

import { Figures, WINDOW } from '../src/model/figures';
import type { IStats } from '../src/restapi';

function at(time: number, cpu_seconds: number, more: Partial<IStats> = {}): IStats {
  const plain = {
    id: 'c',
    memory: 1,
    memory_limit: null,
    cpu_limit: null,
    pids: 1,
    gpu_memory: null
  };
  return { ...plain, time, cpu_seconds, ...more };
}

describe('Figures', () => {
  it('go back two minutes, and one more', () => {
    const figures = new Figures();
    for (let time = 0; time <= 300; time += 2) {
      figures.add(at(time + 1, time));
    }
    const times = figures.samples.map(each => each.time);
    expect(times.at(-1)).toBe(301);
    expect(times[0]).toBeLessThanOrEqual(301 - WINDOW);
    expect(times[1]).toBeGreaterThanOrEqual(301 - WINDOW);
  });

  it('do not divide by nothing where an engine tells the same twice', () => {
    const figures = new Figures();
    figures.add(at(10, 1));
    figures.add(at(10, 1));
    figures.add(at(12, 2));
    expect(figures.samples.map(each => each.cpu)).toEqual([null, 0.5]);
  });

  it('know the limits', () => {
    const figures = new Figures();
    figures.add(at(1, 1, { memory_limit: 7, cpu_limit: 1.5 }));
    expect([figures.memoryLimit, figures.cpuLimit]).toEqual([7, 1.5]);
  });

  it('keep apart what is none and what is not known', () => {
    const figures = new Figures();
    figures.add(at(1, 1));
    figures.add(at(2, 1, { gpu_memory: 0 }));
    expect(figures.samples.map(each => each.gpuMemory)).toEqual([null, 0]);
  });
});
