import { nullTranslator } from '@jupyterlab/translation';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { progressText } from '../src/panel/images';
import { PullNotifications } from '../src/panel/pulls';
import type { IOperation, IProgress } from '../src/restapi';

const trans = nullTranslator.load('');
const PROGRESS: IProgress = {
  bytes: 25_000_000,
  total: 100_000_000,
  final: true,
  layers_done: 1,
  layers: 4,
  phase: 'downloading',
  seconds_left: 65
};

function operation(state: IOperation['state'], progress: IProgress | null = PROGRESS): IOperation {
  return { id: 'o', kind: 'pull', reference: 'tf:1', state, message: 'Said.', progress };
}

describe('progress in words', () => {
  it.each([
    [PROGRESS, '25 MB of 100 MB · 25% · 1 min left'],
    [{ ...PROGRESS, seconds_left: null }, '25 MB of 100 MB · 25%'],
    [{ ...PROGRESS, final: false }, '25 MB so far'],
    [{ ...PROGRESS, total: null, final: false, bytes: 0 }, ''],
    [
      { ...PROGRESS, bytes: 100_000_000, phase: 'extracting', seconds_left: null },
      '100 MB of 100 MB · 100% · unpacking, 1 of 4 layers'
    ],
    [{ ...PROGRESS, bytes: 0, phase: 'building' }, 'Step 2 of 4'],
    [null, '']
  ])('%o', (progress, text) => {
    expect(progressText(operation('running', progress), trans, 'en')).toBe(text);
  });

  it('is not said to go on once it is done', () => {
    const progress = { ...PROGRESS, bytes: 100_000_000, phase: 'extracting', seconds_left: null };
    expect(progressText(operation('done', progress), trans, 'en')).toBe('100 MB of 100 MB · 100%');
  });

  it('is not 100 % before all is there', () => {
    const progress = { ...PROGRESS, bytes: 99_999_999, seconds_left: null };
    expect(progressText(operation('running', progress), trans, 'en')).toContain('99%');
  });
});

describe('PullNotifications', () => {
  const manager = { notify: vi.fn(), update: vi.fn(), dismiss: vi.fn() };
  const cancel = vi.fn();
  const showLog = vi.fn();
  const show = vi.fn();
  let waits = false;
  let pulls: PullNotifications;
  const handle = (each: IOperation) => {
    pulls.handle(each, waits);
  };

  beforeEach(() => {
    vi.resetAllMocks();
    manager.notify.mockReturnValue('n');
    waits = false;
    pulls = new PullNotifications({ manager, trans, locale: 'en', cancel, show, showLog });
  });

  it('tell how far it is, in one notification, until it is here', () => {
    handle(operation('running', null));
    handle(operation('running'));
    handle(operation('done'));
    expect(manager.notify).toHaveBeenCalledOnce();
    expect(manager.notify.mock.calls[0]?.slice(0, 2)).toEqual(['Pulling tf:1', 'in-progress']);
    const [progress, done] = manager.update.mock.calls.map(([each]) => each as object);
    expect(progress).toMatchObject({
      id: 'n',
      message: 'Pulling tf:1: 25 MB of 100 MB · 25% · 1 min left'
    });
    expect(done).toMatchObject({ message: 'tf:1 is here', type: 'success', actions: [] });
  });

  it('can cancel it', () => {
    handle(operation('running'));
    const { actions } = manager.notify.mock.calls[0]?.[2] as {
      actions: { callback: () => void }[];
    };
    actions[0]?.callback();
    expect(cancel).toHaveBeenCalledExactlyOnceWith('o');
    handle(operation('cancelled'));
    expect(manager.dismiss).toHaveBeenCalledExactlyOnceWith('n');
  });

  it('say why it failed', () => {
    handle(operation('running'));
    handle(operation('failed'));
    const told = manager.update.mock.calls[0]?.[0] as { actions: { callback: () => void }[] };
    expect(told).toMatchObject({ message: 'Said.', type: 'error' });
    told.actions[0]?.callback();
    expect(show).toHaveBeenCalledOnce();
  });

  it('have the log of a build that failed one click away', () => {
    const build = { ...operation('running'), kind: 'build' } as const;
    handle(build);
    const message = 'It failed at step 4 of 6, `RUN false`: 1\nIts last lines:\nthis is why';
    handle({ ...build, state: 'failed', message });
    const [update] = manager.update.mock.calls[0] as [
      { message: string; actions: { callback: () => void }[] }
    ];
    expect(update.message).toBe('tf:1 could not be built: RUN false');
    update.actions[0]?.callback();
    expect(showLog).toHaveBeenCalledExactlyOnceWith('o');
  });

  it('say that what was saved is written', () => {
    handle({ ...operation('running'), kind: 'save' });
    handle({ ...operation('done'), kind: 'save' });
    expect(manager.update.mock.calls[0]?.[0]).toMatchObject({ message: 'tf:1 is written' });
  });

  it('leave a pull that a start waits for to the notification of the start', () => {
    waits = true;
    handle(operation('running'));
    handle(operation('done'));
    expect(manager.notify).not.toHaveBeenCalled();
    expect(manager.update).not.toHaveBeenCalled();
  });
});
