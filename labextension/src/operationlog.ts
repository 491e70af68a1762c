import type { ISignal } from '@lumino/signaling';

import type { IOperation, IOperationLog } from './restapi';

/** Milliseconds after which is asked again though no event came: the connection for events may be lost. */
const PATIENCE = 5000;

export interface IFollowedOperation {
  id: string;
  /** Ask how it stands. */
  ask: (id: string) => Promise<IOperationLog>;
  /** Tells of each event. */
  operated: ISignal<unknown, IOperation>;
}

/**
 * Read the log of an operation until it has ended.
 *
 * @param followed Which, and how.
 * @param take Gets what is new in it, and in the end what came of it.
 * @param signal Ends it earlier.
 */
export async function followOperation(
  { id, ask, operated }: IFollowedOperation,
  take: (text: string) => void,
  signal: AbortSignal
): Promise<void> {
  let known = 0;
  for (;;) {
    // What happens while it is asked is not missed.
    const news = somethingNew(id, operated, signal);
    const { log, lines, state, message } = await ask(id);
    const fresh = Math.min(lines - known, log.length);
    known = lines;
    if (fresh > 0) {
      take(log.slice(-fresh).join('\n') + '\n');
    }
    if (state !== 'running') {
      take(`\n${message}\n`);
      return;
    }
    await news;
    if (signal.aborted) {
      return;
    }
  }
}

function somethingNew(
  id: string,
  operated: ISignal<unknown, IOperation>,
  signal: AbortSignal
): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      operated.disconnect(hear);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const hear = (_: unknown, operation: IOperation) => {
      if (operation.id === id) {
        done();
      }
    };
    const timer = setTimeout(done, PATIENCE);
    operated.connect(hear);
    signal.addEventListener('abort', done);
  });
}
