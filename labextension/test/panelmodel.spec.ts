import type { Event, Session } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { PanelModel } from '../src/panel/model';
import type { Engine, IContainer, IEngineImage, IOperation, IStats } from '../src/restapi';
import { ENVIRONMENTS, KERNEL_STATE } from '../src/tokens';

const READY = {
  state: 'ready',
  kind: 'docker',
  version: '20.10',
  host: 'here',
  rootless: false,
  operating_system: '',
  architecture: '',
  cpus: 2,
  memory: 2 ** 34
} as const;
const MISSING = { state: 'missing', message: 'Nothing answers.' } as const;

function container(id: string, kernel = ''): IContainer {
  return {
    id,
    environment: 'tf',
    display_name: 'TF',
    image: 'image',
    python: '3.5',
    workspace: '/ws',
    notebook: '',
    created: '2026-01-01T00:00:00Z',
    kernel: kernel ? { id: kernel, ready: true } : null,
    state: kernel ? 'running' : 'standby'
  };
}

function stats(id: string, time: number, cpu_seconds = 0): IStats {
  return { id, time, memory: 100, memory_limit: null, cpu_seconds, cpu_limit: null, pids: 1 };
}

describe('PanelModel', () => {
  const api = {
    engine: vi.fn<() => Promise<Engine>>(),
    machine: vi.fn(),
    environments: vi.fn(),
    containers: vi.fn<() => Promise<IContainer[]>>(),
    images: vi.fn<() => Promise<IEngineImage[]>>(),
    operations: vi.fn<() => Promise<IOperation[]>>(),
    stats: vi.fn<() => Promise<IStats[]>>()
  };
  let events: Signal<object, Event.Emission>;
  let sessionsChanged: Signal<Session.IManager, Session.IModel[]>;
  let model: PanelModel;

  const emit = (schema_id: string, fields: object = {}) => {
    events.emit({ schema_id, ...fields });
  };

  beforeEach(() => {
    vi.useFakeTimers();
    vi.resetAllMocks();
    api.engine.mockResolvedValue(READY);
    api.machine.mockResolvedValue({ cards: [] });
    api.environments.mockResolvedValue([]);
    api.containers.mockResolvedValue([]);
    api.images.mockResolvedValue([]);
    api.operations.mockResolvedValue([]);
    api.stats.mockResolvedValue([]);
    events = new Signal({});
    sessionsChanged = new Signal({} as Session.IManager);
    model = new PanelModel({
      api,
      events: events as unknown as Event.Stream,
      sessions: { running: () => [], runningChanged: sessionsChanged }
    });
  });

  afterEach(() => {
    model.dispose();
    vi.useRealTimers();
  });

  it('asks nothing until somebody looks, then once', async () => {
    emit(ENVIRONMENTS);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(api.engine).not.toHaveBeenCalled();
    const watch = model.watch();
    await vi.advanceTimersByTimeAsync(0);
    expect(api.environments).toHaveBeenCalledOnce();
    expect(model.engine).toEqual(READY);
    expect(model.containers).toEqual([]);
    watch.dispose();
    await vi.advanceTimersByTimeAsync(1000);
    api.engine.mockClear();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(api.engine).not.toHaveBeenCalled();
  });

  it('reads the environments again when they have changed, and nothing else', async () => {
    model.watch();
    await vi.advanceTimersByTimeAsync(0);
    api.environments.mockResolvedValue([{ name: 'new' }]);
    emit(ENVIRONMENTS, { name: 'new', change: 'created' });
    await vi.advanceTimersByTimeAsync(0);
    expect(model.environments).toEqual([{ name: 'new' }]);
    expect(api.machine).toHaveBeenCalledOnce();
  });

  it('notes what changed while nobody looked', async () => {
    model.watch().dispose();
    await vi.advanceTimersByTimeAsync(0);
    emit(ENVIRONMENTS, { name: 'new', change: 'created' });
    model.watch();
    await vi.advanceTimersByTimeAsync(0);
    expect(api.environments).toHaveBeenCalledTimes(2);
  });

  it('shows a start until its container is there', async () => {
    model.watch();
    await vi.advanceTimersByTimeAsync(0);
    const kernel = { kernel_id: 'k', environment: 'tf', display_name: 'TF', message: '' };
    emit(KERNEL_STATE, { ...kernel, state: 'starting', step: 'boot' });
    expect(model.starting.get('k')?.step).toBe('boot');
    api.containers.mockResolvedValue([container('c', 'k')]);
    emit(KERNEL_STATE, { ...kernel, state: 'running' });
    await vi.advanceTimersByTimeAsync(0);
    expect(model.starting.size).toBe(0);
    expect(model.containers?.map(each => each.id)).toEqual(['c']);
  });

  it('finds what came and went without an event by the figures', async () => {
    model.watch();
    await vi.advanceTimersByTimeAsync(0);
    api.containers.mockResolvedValue([container('ahead')]);
    api.stats.mockResolvedValue([stats('ahead', 1)]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(model.containers?.map(each => each.id)).toEqual(['ahead']);
    api.containers.mockResolvedValue([]);
    api.stats.mockResolvedValue([]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(model.containers).toEqual([]);
    expect(model.figures.size).toBe(0);
  });

  it('makes shares of a processor from two answers', async () => {
    api.containers.mockResolvedValue([container('c')]);
    let time = 100;
    api.stats.mockImplementation(() => {
      time += 2;
      // One and a half processors.
      return Promise.resolve([stats('c', time, time * 1.5)]);
    });
    model.watch();
    await vi.advanceTimersByTimeAsync(9000);
    const samples = model.figures.get('c')?.samples ?? [];
    expect(samples.length).toBeGreaterThan(2);
    expect(samples[0]?.cpu).toBeNull();
    expect(samples.slice(1).every(each => each.cpu === 1.5)).toBe(true);
  });

  it('has an engine that is gone as a state, asks nothing of it, and sees it come back', async () => {
    api.containers.mockResolvedValue([container('c')]);
    api.stats.mockImplementation(() => Promise.resolve([stats('c', Date.now() / 1000)]));
    model.watch();
    await vi.advanceTimersByTimeAsync(3000);
    api.engine.mockResolvedValue(MISSING);
    await vi.advanceTimersByTimeAsync(3000);
    expect(model.engine).toEqual(MISSING);
    expect(model.ready).toBeNull();
    expect(model.containers).toEqual([]);
    expect(model.problem).toBeNull();
    api.stats.mockClear();
    api.containers.mockClear();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(api.stats).not.toHaveBeenCalled();
    expect(api.containers).not.toHaveBeenCalled();
    api.engine.mockResolvedValue(READY);
    await vi.advanceTimersByTimeAsync(5000);
    expect(model.ready).toEqual(READY);
    expect(model.containers?.map(each => each.id)).toEqual(['c']);
  });

  it('takes a new snapshot once the server is back', async () => {
    model.watch();
    await vi.advanceTimersByTimeAsync(0);
    api.engine.mockRejectedValue(new TypeError('No network.'));
    await vi.advanceTimersByTimeAsync(5000);
    expect(model.problem).toBe('No network.');
    api.engine.mockResolvedValue(READY);
    api.environments.mockResolvedValue([{ name: 'meanwhile' }]);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(model.problem).toBeNull();
    expect(model.environments).toEqual([{ name: 'meanwhile' }]);
  });

  it('says what is being done until it is', async () => {
    let end: () => void = vi.fn();
    const work = new Promise<void>(resolve => {
      end = resolve;
    });
    const done = model.during('tf', 'Starting…', () => work);
    expect(model.busy.get('tf')).toBe('Starting…');
    end();
    await done;
    expect(model.busy.size).toBe(0);
    expect(api.containers).toHaveBeenCalledOnce();
  });
});
