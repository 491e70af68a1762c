import { NotificationManager } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { KernelNotifications } from '../src/notifications';
import { Texts } from '../src/texts';
import { KERNEL_STATE } from '../src/tokens';

/** An event as the server sends it. */
function event(fields: Record<string, unknown>): Record<string, unknown> {
  return {
    schema_id: KERNEL_STATE,
    kernel_id: 'a',
    environment: 'tf-1.2.1-gpu',
    display_name: 'TF 1.2.1 GPU',
    host: 'here',
    message: 'What happened, in English.',
    ...fields
  };
}

/** A step of a start. */
function step(name: string, fields: Record<string, unknown> = {}) {
  return event({ state: 'starting', step: name, ...fields });
}

describe('KernelNotifications', () => {
  let manager: NotificationManager;
  let notifications: KernelNotifications;
  const showLog = vi.fn<KernelNotifications.IOptions['showLog']>();
  const showCaveats = vi.fn<KernelNotifications.IOptions['showCaveats']>();
  const cancel = vi.fn<KernelNotifications.IOptions['cancel']>();
  const refused = vi.fn<KernelNotifications.IOptions['refused']>();

  /** What the person sees: type and message of each notification, newest first. */
  const shown = () => manager.notifications.map(n => [n.type, n.message]);

  /** The newest notification. */
  const newest = () => {
    const [notification] = manager.notifications;
    if (!notification) {
      throw new Error('There is no notification.');
    }
    return notification;
  };

  beforeEach(() => {
    vi.useFakeTimers();
    showLog.mockReset();
    showCaveats.mockReset();
    cancel.mockReset();
    refused.mockReset();
    manager = new NotificationManager();
    notifications = new KernelNotifications({
      manager,
      texts: new Texts(nullTranslator),
      showLog,
      showCaveats,
      cancel,
      refused
    });
  });

  afterEach(() => {
    vi.useRealTimers();
    manager.dispose();
  });

  describe('caveats', () => {
    const running = (...caveats: unknown[]) => event({ state: 'running', caveats });

    it('are announced, and shown on request', () => {
      notifications.handle(running('one', 2, 'two'));
      expect(shown()).toEqual([['warning', 'TF 1.2.1 GPU runs on this machine, with 2 caveats.']]);
      newest().options.actions?.[0]?.callback(new MouseEvent('click'));
      expect(showCaveats).toHaveBeenCalledExactlyOnceWith('TF 1.2.1 GPU', ['one', 'two']);
    });

    it('are announced once for each environment', () => {
      notifications.handle(running('one'));
      notifications.handle(running('one'));
      expect(shown()).toEqual([['warning', 'TF 1.2.1 GPU runs on this machine, with a caveat.']]);
    });

    it('are not missed where there are none', () => {
      notifications.handle(running());
      notifications.handle(event({ state: 'running' }));
      expect(shown()).toEqual([]);
    });
  });

  describe('a start', () => {
    it('is not mentioned when it is fast', () => {
      notifications.handle(step('engine'));
      vi.advanceTimersByTime(999);
      notifications.handle(event({ state: 'running' }));
      vi.advanceTimersByTime(60_000);
      expect(shown()).toEqual([]);
    });

    it('is shown after a second, with the step it has come to', () => {
      notifications.handle(step('engine'));
      vi.advanceTimersByTime(500);
      notifications.handle(step('boot'));
      vi.advanceTimersByTime(499);
      expect(shown()).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(shown()).toEqual([['in-progress', 'Starting TF 1.2.1 GPU: starting the container']]);
      expect(newest().options.autoClose).toBe(false);
    });

    it('is shown after as long as the settings say', () => {
      notifications.slowStart = 5;
      notifications.handle(step('engine'));
      vi.advanceTimersByTime(4999);
      expect(shown()).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(shown()).toHaveLength(1);
    });

    it('follows the steps in one notification', () => {
      notifications.handle(step('create'));
      vi.advanceTimersByTime(1000);
      notifications.handle(step('launch'));
      expect(shown()).toEqual([['in-progress', 'Starting TF 1.2.1 GPU: starting the kernel']]);
    });

    it('can be cancelled while it waits for its image, and not otherwise', () => {
      const actions = () => newest().options.actions?.map(each => each.label);
      notifications.handle(step('preflight'));
      vi.advanceTimersByTime(1000);
      expect(actions()).toEqual([]);
      notifications.handle(step('pull'));
      expect(actions()).toEqual(['Cancel']);
      newest().options.actions?.[0]?.callback(new MouseEvent('click'));
      expect(cancel).toHaveBeenCalledExactlyOnceWith('tf-1.2.1-gpu');
      notifications.handle(step('create'));
      expect(actions()).toEqual([]);
      notifications.handle(step('pull', { kernel_id: 'b' }));
      vi.advanceTimersByTime(1000);
      expect(actions()).toEqual(['Cancel']);
      notifications.handle(event({ state: 'running', kernel_id: 'b' }));
      expect(actions()).toEqual([]);
    });

    it('that was refused is told to who looks for what runs instead', () => {
      notifications.handle(step('preflight'));
      expect(refused).not.toHaveBeenCalled();
      notifications.handle(event({ state: 'failed' }));
      expect(refused).toHaveBeenCalledExactlyOnceWith('tf-1.2.1-gpu');
    });

    it('ends in a success that goes by itself', () => {
      notifications.handle(step('pull'));
      vi.advanceTimersByTime(1000);
      notifications.handle(event({ state: 'running' }));
      expect(shown()).toEqual([['success', 'TF 1.2.1 GPU is running']]);
      expect(newest().options.autoClose).toBeGreaterThan(0);
    });

    it('that failed is left to the dialog of JupyterLab', () => {
      notifications.handle(step('pull'));
      vi.advanceTimersByTime(1000);
      notifications.handle(event({ state: 'failed' }));
      expect(shown()).toEqual([]);
    });

    it('that failed before it was slow is not shown later', () => {
      notifications.handle(step('pull'));
      notifications.handle(event({ state: 'failed' }));
      vi.advanceTimersByTime(60_000);
      expect(shown()).toEqual([]);
    });

    it('stays away once the person has dismissed it', () => {
      notifications.handle(step('pull'));
      vi.advanceTimersByTime(1000);
      manager.dismiss(newest().id);
      notifications.handle(step('launch'));
      notifications.handle(event({ state: 'running' }));
      vi.advanceTimersByTime(60_000);
      expect(shown()).toEqual([]);
    });

    it('counts anew when the kernel starts again', () => {
      notifications.handle(step('launch'));
      notifications.handle(event({ state: 'running' }));
      vi.advanceTimersByTime(900);
      notifications.handle(step('launch'));
      vi.advanceTimersByTime(900);
      expect(shown()).toEqual([]);
      vi.advanceTimersByTime(100);
      expect(shown()).toHaveLength(1);
    });

    it('is forgotten when the server is gone, and other notifications are not', () => {
      manager.notify('Not ours', 'info', {});
      notifications.handle(step('pull'));
      vi.advanceTimersByTime(1000);
      notifications.handle(step('boot', { kernel_id: 'b' }));
      notifications.forgetStarts();
      vi.advanceTimersByTime(60_000);
      expect(shown()).toEqual([['info', 'Not ours']]);
    });
  });

  describe('a death', () => {
    it('is an error that stays', () => {
      notifications.handle(event({ state: 'dead', reason: 'exited', exit_code: 3 }));
      expect(shown()).toEqual([
        ['error', 'TF 1.2.1 GPU: the kernel ended by itself, with exit code 3.']
      ]);
      expect(newest().options.autoClose).toBe(false);
      expect(newest().options.actions).toEqual([]);
    });

    it('offers the log, and is still there after it was read', () => {
      notifications.handle(event({ state: 'dead', reason: 'container', log: 'one\ntwo' }));
      const [action] = newest().options.actions ?? [];
      expect(action?.label).toBe('Show log');
      const click = new MouseEvent('click', { cancelable: true });
      action?.callback(click);
      expect(showLog).toHaveBeenCalledExactlyOnceWith('TF 1.2.1 GPU', 'one\ntwo');
      expect(click.defaultPrevented).toBe(true);
    });

    it('replaces the start it happened in', () => {
      notifications.handle(step('launch'));
      vi.advanceTimersByTime(1000);
      notifications.handle(event({ state: 'dead', reason: 'signal', signal: 'SIGSEGV' }));
      expect(shown()).toEqual([
        ['error', 'TF 1.2.1 GPU: the kernel was ended by the signal SIGSEGV.']
      ]);
    });

    it('of the same kernel again is the same notification, with the newest log or none', () => {
      notifications.handle(event({ state: 'dead', reason: 'container', log: 'old' }));
      notifications.handle(event({ state: 'dead', reason: 'out_of_memory' }));
      expect(shown()).toEqual([['error', 'TF 1.2.1 GPU: the kernel ran out of memory.']]);
      expect(newest().options.actions).toEqual([]);
    });

    it('is news again once the first notification was dismissed', () => {
      notifications.handle(event({ state: 'dead', reason: 'container' }));
      manager.dismiss(newest().id);
      notifications.handle(event({ state: 'dead', reason: 'container' }));
      expect(shown()).toHaveLength(1);
    });
  });

  it('keeps several kernels apart', () => {
    notifications.handle(step('pull', { kernel_id: 'a', display_name: 'A' }));
    vi.advanceTimersByTime(600);
    notifications.handle(step('boot', { kernel_id: 'b', display_name: 'B' }));
    vi.advanceTimersByTime(400);
    expect(shown()).toEqual([['in-progress', 'Starting A: pulling its image']]);
    vi.advanceTimersByTime(600);
    notifications.handle(event({ kernel_id: 'a', display_name: 'A', state: 'running' }));
    notifications.handle(event({ kernel_id: 'c', display_name: 'C', state: 'dead' }));
    expect(shown().sort()).toEqual([
      ['error', 'What happened, in English.'],
      ['in-progress', 'Starting B: starting the container'],
      ['success', 'A is running']
    ]);
  });

  it.each([
    ['of another schema', { ...step('pull'), schema_id: 'https://example.org/v1' }],
    ['without a schema', { ...step('pull'), schema_id: undefined }],
    ['without a kernel', { ...step('pull'), kernel_id: undefined }],
    ['with a kernel that is a number', { ...step('pull'), kernel_id: 7 }],
    ['without a name', { ...step('pull'), display_name: null }],
    ['with an unknown state', event({ state: 'levitating' })],
    ['without a state', event({})],
    ['that is a string', 'event'],
    ['that is null', null],
    ['that is nothing', undefined]
  ])('ignores an event %s', (_, emission) => {
    notifications.handle(emission);
    vi.advanceTimersByTime(60_000);
    expect(shown()).toEqual([]);
  });

  it('makes do with what it understands of an event', () => {
    notifications.handle(step('pull', { progress: 'half', message: 12 }));
    vi.advanceTimersByTime(1000);
    expect(shown()).toEqual([['in-progress', 'Starting TF 1.2.1 GPU: pulling its image']]);
    notifications.handle(
      event({ state: 'dead', reason: 'exited', exit_code: 'three', log: { no: 'text' } })
    );
    expect(shown()).toEqual([['error', 'TF 1.2.1 GPU: the kernel ended by itself.']]);
  });
});
