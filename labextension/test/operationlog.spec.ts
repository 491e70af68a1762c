import { Signal } from '@lumino/signaling';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { followOperation } from '../src/operationlog';
import type { IOperation, IOperationLog } from '../src/restapi';

function answer(lines: number, log: string[], state: IOperation['state']): IOperationLog {
  const rest = { id: 'o', kind: 'build', reference: 'tf:1', progress: null } as const;
  return { ...rest, state, message: 'It was built.', log, lines };
}

describe('followOperation', () => {
  const operated = new Signal<object, IOperation>({});
  const ask = vi.fn<(id: string) => Promise<IOperationLog>>();
  let abort: AbortController;
  let text: string;
  let ended: Promise<void>;
  const follow = () => {
    ended = followOperation(
      { id: 'o', ask, operated },
      more => {
        text += more;
      },
      abort.signal
    );
    return vi.advanceTimersByTimeAsync(0);
  };
  const tell = (id: string) => {
    operated.emit({ ...answer(0, [], 'running'), id });
    return vi.advanceTimersByTimeAsync(0);
  };

  beforeEach(() => {
    vi.useFakeTimers();
    vi.resetAllMocks();
    abort = new AbortController();
    text = '';
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('takes each line once, and what came of it in the end', async () => {
    ask.mockResolvedValueOnce(answer(2, ['a', 'a'], 'running'));
    ask.mockResolvedValueOnce(answer(2, ['a', 'a'], 'running'));
    ask.mockResolvedValueOnce(answer(4, ['a', 'a', 'b'], 'done'));
    await follow();
    expect(text).toBe('a\na\n');
    await tell('another');
    expect(ask).toHaveBeenCalledOnce();
    await tell('o');
    expect(text).toBe('a\na\n');
    await tell('o');
    // Two are new, of three that are kept.
    expect(text).toBe('a\na\na\nb\n\nIt was built.\n');
    await ended;
  });

  it('asks again in the end, though no event comes', async () => {
    ask.mockResolvedValueOnce(answer(0, [], 'running'));
    ask.mockResolvedValueOnce(answer(1, ['a'], 'done'));
    await follow();
    await vi.advanceTimersByTimeAsync(6000);
    await ended;
    expect(text).toContain('a\n');
  });

  it('ends when nobody looks any more', async () => {
    ask.mockResolvedValue(answer(0, [], 'running'));
    await follow();
    abort.abort();
    await ended;
    expect(ask).toHaveBeenCalledOnce();
  });
});
