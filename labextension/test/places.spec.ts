import { Notification } from '@jupyterlab/apputils';
import type { Session } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { cancelStart } from '../src/cancel';
import { Alternatives, insteadOf } from '../src/suggestions/alternatives';
import { RunningContainers } from '../src/panel/runninglist';
import type {
  AnyEnvironment,
  Device,
  ICatalog,
  IContainer,
  IEnvironment,
  IOperation,
  IVerdict
} from '../src/restapi';
import { Texts } from '../src/texts';

const REASONS = [{ sentence: 'Here is no card.' }];

function environment(
  name: string,
  word: IVerdict['word'],
  gpus: IEnvironment['gpus'] = 'none',
  tensorflow = '1.2.1',
  device: Device = gpus === 'none' ? 'cpu' : 'gpu'
): IEnvironment {
  return {
    name,
    display_name: name.toUpperCase(),
    image: `image/of:${name}`,
    gpus,
    catalog: { tensorflow, device },
    verdict: { word, reasons: REASONS }
  } as IEnvironment;
}

const GPU = environment('gpu', 'cannot', 'all');

describe('what can be used instead', () => {
  it('is the same release for the processor', () => {
    expect(insteadOf(GPU, [GPU])).toEqual({ tensorflow: '1.2.1', existing: undefined });
  });

  it('is one that is there, if that may run', () => {
    const others = [
      environment('gpu2', 'works', 'all'),
      environment('old', 'works', 'none', '1.2.0'),
      environment('broken', 'cannot'),
      { name: 'unreadable', error: '' } as AnyEnvironment
    ];
    expect(insteadOf(GPU, others)?.existing).toBeUndefined();
    others.push(environment('gpu3', 'works', 'none', '1.2.1', 'gpu'));
    expect(insteadOf(GPU, others)?.existing).toBeUndefined();
    const there = environment('cpu', 'warns');
    expect(insteadOf(GPU, [...others, there])?.existing).toBe(there);
  });

  it('is there for an image that needs a driver, though it gets no card', () => {
    const image = environment('gpu', 'cannot', 'none', '1.2.1', 'gpu');
    expect(insteadOf(image, [image])?.tensorflow).toBe('1.2.1');
  });

  it('is nothing where it may run, has no card to miss, or is not known', () => {
    expect(insteadOf(environment('gpu', 'warns', 'all'), [])).toBeNull();
    expect(insteadOf(environment('cpu', 'cannot'), [])).toBeNull();
    expect(insteadOf({ ...GPU, verdict: null }, [])).toBeNull();
    expect(insteadOf({ ...GPU, catalog: null }, [])).toBeNull();
  });
});

describe('Alternatives', () => {
  const api = {
    environments: vi.fn<() => Promise<AnyEnvironment[]>>(),
    release: vi.fn<() => Promise<ICatalog>>(),
    createEnvironment: vi.fn<() => Promise<IEnvironment>>()
  };
  const refreshSpecs = vi.fn<() => Promise<void>>();
  const newNotebook = vi.fn();
  let alternatives: Alternatives;

  const shown = () =>
    Notification.manager.notifications.map(each => [
      each.message,
      ...(each.options.actions ?? []).map(action => action.label)
    ]);
  const press = () => {
    Notification.manager.notifications[0]?.options.actions?.[0]?.callback(new MouseEvent('click'));
  };
  const catalog = (word: IVerdict['word']) =>
    ({
      images: [{ reference: 'tf:cpu', verdict: { word, reasons: REASONS } }],
      best: { cpu: 'tf:cpu', gpu: null }
    }) as unknown as ICatalog;

  beforeEach(() => {
    vi.resetAllMocks();
    Notification.manager.dismiss();
    api.environments.mockResolvedValue([GPU]);
    api.release.mockResolvedValue(catalog('works'));
    api.createEnvironment.mockResolvedValue(environment('made', 'works'));
    alternatives = new Alternatives({
      api,
      kernelspecs: { refreshSpecs },
      texts: new Texts(nullTranslator),
      newNotebook
    });
  });

  it('are made by one click after a start was refused', async () => {
    await alternatives.refused('gpu');
    expect(shown()).toEqual([
      ['GPU cannot run on this machine. TF 1.2.1 CPU can.', 'Add TF 1.2.1 CPU']
    ]);
    press();
    await vi.waitFor(() => {
      expect(shown()).toContainEqual(['MADE is in the launcher.', 'New notebook']);
    });
    expect(api.createEnvironment).toHaveBeenCalledExactlyOnceWith('1.2.1', 'cpu');
    expect(refreshSpecs).toHaveBeenCalledOnce();
  });

  it('are used by one click where they are there', async () => {
    api.environments.mockResolvedValue([GPU, environment('cpu', 'works')]);
    await alternatives.refused('gpu');
    expect(shown()).toEqual([['GPU cannot run on this machine. CPU can.', 'New notebook']]);
    press();
    await vi.waitFor(() => {
      expect(newNotebook).toHaveBeenCalledExactlyOnceWith('cpu');
    });
    expect(api.createEnvironment).not.toHaveBeenCalled();
  });

  it('are not offered where they cannot run either, nor where the machine is not the reason', async () => {
    api.release.mockResolvedValue(catalog('cannot'));
    await alternatives.refused('gpu');
    api.environments.mockResolvedValue([environment('gpu', 'works', 'all')]);
    await alternatives.refused('gpu');
    await alternatives.refused('unknown');
    expect(shown()).toEqual([]);
  });
});

describe('cancelStart', () => {
  it('ends what the start waits for, and nothing else', async () => {
    const operation = (
      id: string,
      kind: IOperation['kind'],
      reference: string,
      state: IOperation['state'] = 'running'
    ) => ({ id, kind, reference, state }) as IOperation;
    const cancelOperation = vi.fn<(id: string) => Promise<void>>();
    const api = {
      environments: () => Promise.resolve([GPU]),
      operations: () =>
        Promise.resolve([
          operation('pull', 'pull', GPU.image),
          operation('prepare', 'prepare', GPU.image),
          operation('done', 'pull', GPU.image, 'done'),
          operation('other', 'pull', 'another'),
          operation('snapshot', 'snapshot', GPU.image)
        ]),
      cancelOperation
    };
    await cancelStart(api, 'gpu');
    expect(cancelOperation.mock.calls.flat()).toEqual(['pull', 'prepare']);
    await cancelStart(api, 'unknown');
    expect(cancelOperation).toHaveBeenCalledTimes(2);
  });
});

describe('RunningContainers', () => {
  const container = (id: string, state: IContainer['state']) =>
    ({ id, state, display_name: id.toUpperCase(), image: 'tf:1' }) as IContainer;
  let changed: Signal<object, void>;
  let staled: Signal<object, void>;
  let model: { containers: IContainer[] | null; isStale: boolean; refresh: () => Promise<void> };
  const refresh = vi.fn<() => Promise<void>>();
  const removeContainer = vi.fn<(id: string) => Promise<void>>();
  const execute = vi.fn();
  let seen = true;
  let list: RunningContainers;

  const frame = () => new Promise(resolve => requestAnimationFrame(resolve));

  beforeEach(() => {
    vi.resetAllMocks();
    seen = true;
    changed = new Signal({});
    staled = new Signal({});
    const session = (each: IContainer) =>
      each.state === 'running'
        ? ({ name: 'a.ipynb', path: 'a.ipynb' } as Session.IModel)
        : undefined;
    model = {
      containers: [
        container('a', 'running'),
        container('b', 'standby'),
        container('c', 'elsewhere'),
        container('d', 'ended')
      ],
      isStale: false,
      refresh
    };
    const during = async (_key: string, _what: string, work: () => Promise<void>) => {
      await work();
    };
    list = new RunningContainers({
      model: Object.assign(model, { changed, staled, session, during }) as never,
      api: { removeContainer },
      commands: { execute },
      trans: nullTranslator.load(''),
      isSeen: () => seen
    });
  });

  it('lists those that are ours and have not ended, and leads to them', () => {
    const items = list.running();
    expect(items.map(each => [each.label(), each.detail?.()])).toEqual([
      ['A', 'a.ipynb'],
      ['B', 'Waits for a kernel']
    ]);
    items.forEach(each => each.open?.());
    expect(execute.mock.calls).toEqual([
      ['tfcontainer:open-notebook', { container: 'a' }],
      ['tfcontainer:open']
    ]);
  });

  it('stops one, or all', () => {
    list.running()[1]?.shutdown?.();
    expect(removeContainer.mock.calls.flat()).toEqual(['b']);
    list.shutdownAll();
    expect(removeContainer.mock.calls.flat()).toEqual(['b', 'a', 'b']);
  });

  it('tells of changes of its own only', () => {
    const told = vi.fn();
    list.runningChanged.connect(told);
    changed.emit();
    changed.emit();
    expect(told).toHaveBeenCalledOnce();
    model.containers = null;
    changed.emit();
    expect(told).toHaveBeenCalledTimes(2);
    expect(list.running()).toEqual([]);
  });

  it('is brought up to date while it is in sight', async () => {
    staled.emit();
    await frame();
    expect(refresh).not.toHaveBeenCalled();
    model.isStale = true;
    seen = false;
    staled.emit();
    await frame();
    expect(refresh).not.toHaveBeenCalled();
    seen = true;
    list.running();
    await frame();
    expect(refresh).toHaveBeenCalledOnce();
  });
});
