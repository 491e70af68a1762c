import type { Event, Session } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { PanelModel } from '../src/model/panelmodel';
import type {
  Engine,
  ICardUse,
  IContainer,
  IEngineImage,
  IOperation,
  IStats
} from '../src/restapi';
import { ENVIRONMENTS, KERNEL_STATE, OPERATION } from '../src/tokens';

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
    temporary_home: false,
    created: '2026-01-01T00:00:00Z',
    kernel: kernel ? { id: kernel, ready: true } : null,
    state: kernel ? 'running' : 'standby'
  };
}

function image(id: string): IEngineImage {
  return {
    id,
    references: [],
    size: 1,
    unique_size: null,
    created: '',
    origin: 'pulled',
    parent: null,
    used_by: { environments: ['tf'], containers: [] },
    inside: null,
    freeable: false
  };
}

function operation(state: IOperation['state'], bytes = 0): IOperation {
  const progress = {
    bytes,
    total: 6,
    final: true,
    layers_done: 0,
    layers: 1,
    phase: 'downloading',
    seconds_left: null
  };
  return { id: 'o', kind: 'pull', reference: 'tf:1', state, message: '', progress };
}

function stats(id: string, time: number, cpu_seconds = 0): IStats {
  return {
    id,
    time,
    memory: 100,
    memory_limit: null,
    cpu_seconds,
    cpu_limit: null,
    pids: 1,
    gpu_memory: null
  };
}

describe('PanelModel', () => {
  const api = {
    engine: vi.fn<() => Promise<Engine>>(),
    machine: vi.fn(),
    cards: vi.fn<() => Promise<ICardUse[]>>(),
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

  it('looks as often as the settings say, and for figures only if they say so', async () => {
    model.setLive(10, true);
    model.watch();
    await vi.advanceTimersByTimeAsync(0);
    const before = api.stats.mock.calls.length;
    await vi.advanceTimersByTimeAsync(9000);
    expect(api.stats).toHaveBeenCalledTimes(before);
    await vi.advanceTimersByTimeAsync(12_000);
    expect(api.stats.mock.calls.length).toBeGreaterThan(before);
    model.setLive(2, false);
    api.stats.mockClear();
    api.engine.mockClear();
    await vi.advanceTimersByTimeAsync(9000);
    expect(api.engine).toHaveBeenCalled();
    expect(api.stats).not.toHaveBeenCalled();
    expect(model.figures.size).toBe(0);
  });

  it('says when what it knows has become old', () => {
    const told = vi.fn();
    model.staled.connect(told);
    emit(ENVIRONMENTS);
    expect(told).toHaveBeenCalledOnce();
    expect(model.isStale).toBe(true);
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

  it('has one row for a container and the kernel that is launched in it', async () => {
    api.containers.mockResolvedValue([
      { ...container('c', 'k'), kernel: null },
      container('d', 'l')
    ]);
    model.watch();
    await vi.advanceTimersByTimeAsync(0);
    const told = { environment: 'tf', display_name: 'TF', message: '', state: 'starting' };
    emit(KERNEL_STATE, { ...told, kernel_id: 'k', step: 'boot' });
    expect(model.unlisted.map(each => each.kernel_id)).toEqual(['k']);
    expect(model.launches('c')).toBe(false);
    emit(KERNEL_STATE, { ...told, kernel_id: 'k', step: 'launch', container: 'c' });
    emit(KERNEL_STATE, { ...told, kernel_id: 'l', step: 'launch' });
    emit(KERNEL_STATE, { ...told, kernel_id: 'm', step: 'launch', container: 'e' });
    expect(model.unlisted.map(each => each.kernel_id)).toEqual(['m']);
    expect(model.launches('c')).toBe(true);
    expect(model.launches('d')).toBe(false);
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
    // What runs there, and which images it has, is not known.
    expect(model.containers).toBeNull();
    expect(model.images).toBeNull();
    expect(model.isHere('tf')).toBeNull();
    expect(model.figures.size).toBe(0);
    expect(model.problem).toBeNull();
    api.stats.mockClear();
    api.containers.mockClear();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(api.stats).not.toHaveBeenCalled();
    expect(api.containers).not.toHaveBeenCalled();
    api.engine.mockResolvedValue(READY);
    const shown: unknown[] = [];
    model.changed.connect(() => {
      shown.push([model.ready !== null, model.containers?.length, model.images?.length]);
    });
    await vi.advanceTimersByTimeAsync(5000);
    expect(model.containers?.map(each => each.id)).toEqual(['c']);
    // All at once: nothing is taken for empty because it has not been asked for yet.
    expect(shown).toEqual([[true, 1, 0]]);
  });

  describe('of an operation', () => {
    let shown: unknown[];

    const row = () => {
      const it = model.operations.get('o');
      return it && [it.state, it.progress?.bytes];
    };

    beforeEach(async () => {
      model.watch();
      await vi.advanceTimersByTimeAsync(0);
      shown = [];
      model.changed.connect(() => {
        shown.push(row() ?? model.images?.map(each => each.id));
      });
      api.images.mockClear();
    });

    it('shows how it ended, until its image is there', async () => {
      emit(OPERATION, operation('running', 3));
      api.images.mockResolvedValue([image('new')]);
      emit(OPERATION, operation('done', 6));
      await vi.advanceTimersByTimeAsync(0);
      expect(shown).toEqual([['running', 3], ['done', 6], ['new']]);
    });

    it('asks once more where the images may be those from before its end', async () => {
      emit(OPERATION, operation('running', 3));
      let answer: (images: IEngineImage[]) => void = vi.fn();
      api.images.mockReturnValueOnce(
        new Promise(resolve => {
          answer = resolve;
        })
      );
      const read = model.refresh('images');
      await vi.advanceTimersByTimeAsync(0);
      emit(OPERATION, operation('done', 6));
      api.images.mockResolvedValue([image('new')]);
      answer([]);
      await read;
      expect(shown.at(-2)).toEqual(['done', 6]);
      expect(shown.at(-1)).toEqual(['new']);
    });

    it('finds its end though no event told of it', async () => {
      emit(OPERATION, operation('running', 3));
      api.operations.mockResolvedValue([operation('done', 6)]);
      api.images.mockResolvedValueOnce([]).mockResolvedValue([image('new')]);
      await model.refresh('images');
      expect(shown).toEqual([['running', 3], ['done', 6], ['new']]);
    });

    it('takes an event for newer than an answer that was under way', async () => {
      emit(OPERATION, operation('running', 3));
      let answer: (operations: IOperation[]) => void = vi.fn();
      api.operations.mockReturnValueOnce(
        new Promise(resolve => {
          answer = resolve;
        })
      );
      const read = model.refresh('images');
      await vi.advanceTimersByTimeAsync(0);
      emit(OPERATION, operation('running', 5));
      answer([operation('running', 4)]);
      await read;
      expect(row()).toEqual(['running', 5]);
    });

    it('keeps a failure until somebody has taken note of it', async () => {
      const failed = operation('failed', 3);
      emit(OPERATION, failed);
      api.operations.mockResolvedValue([failed, { ...failed, id: 'before anybody looked' }]);
      await model.refresh('images');
      expect([...model.operations.keys()]).toEqual(['o']);
      model.forget('o');
      await model.refresh('images');
      expect(model.operations.size).toBe(0);
    });

    it('drops what was cancelled at once', () => {
      emit(OPERATION, operation('running', 3));
      emit(OPERATION, operation('cancelled', 3));
      expect(model.operations.size).toBe(0);
    });
  });

  it('asks what the cards do only while somebody looks, and only where there are any', async () => {
    const use = { uuid: 'GPU-1', memory: 1, memory_total: 2, utilization: null };
    api.cards.mockResolvedValue([use]);
    const first = model.watch();
    await vi.advanceTimersByTimeAsync(5000);
    expect(api.cards).not.toHaveBeenCalled();
    first.dispose();
    api.machine.mockResolvedValue({ cards: [{ uuid: 'GPU-1' }] });
    await model.refresh();
    // There need not be an engine.
    api.engine.mockResolvedValue(MISSING);
    const second = model.watch();
    await vi.advanceTimersByTimeAsync(5000);
    expect(model.cards.get('GPU-1')).toEqual(use);
    second.dispose();
    expect(model.cards.size).toBe(0);
    api.cards.mockClear();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(api.cards).not.toHaveBeenCalled();
  });

  it('takes a new snapshot once the server is back', async () => {
    model.watch();
    await vi.advanceTimersByTimeAsync(0);
    api.engine.mockRejectedValue(new TypeError('No network.'));
    await vi.advanceTimersByTimeAsync(5000);
    expect(model.problem?.message).toBe('No network.');
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
