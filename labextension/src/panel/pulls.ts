import type { NotificationManager } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { failure } from '../imagebuild/request';
import type { IOperation } from '../restapi';
import { LONGEST_MESSAGE } from '../texts';
import { progressText } from './images';

/** Milliseconds for which it is to be seen that an image is there. */
const SHOWN = 5000;

/** Leaves room for how far it is. */
const LONGEST_NAME = 60;

export interface IPullNotificationsOptions {
  manager: Pick<NotificationManager, 'notify' | 'update' | 'dismiss'>;
  trans: TranslationBundle;
  locale: string | undefined;
  cancel: (operation: string) => void;
  showLog: (operation: string) => void;
  /** Show all that is to be said of what failed. */
  show: () => void;
}

/** Tells of what goes on with images: how far, with a button that ends it. */
export class PullNotifications {
  constructor(private readonly _options: IPullNotificationsOptions) {}

  /**
   * Take notice of how an operation stands.
   *
   * @param operation It.
   * @param awaited Whether the start of a kernel waits for an image: that tells how far it is.
   */
  handle(operation: IOperation, awaited: boolean): void {
    const { id, state } = operation;
    const known = this._shown.get(id);
    if (state !== 'running') {
      this._shown.delete(id);
      if (known !== undefined) {
        this._end(known, operation);
      }
      return;
    }
    if (known === undefined && awaited) {
      return;
    }
    const { manager, trans, cancel } = this._options;
    const message = this._message(operation);
    const actions = [
      {
        label: trans.__('Cancel'),
        callback: () => {
          cancel(id);
        }
      }
    ];
    if (known === undefined) {
      this._shown.set(id, manager.notify(message, 'in-progress', { autoClose: false, actions }));
    } else {
      // Does nothing if the person has dismissed it: they know.
      manager.update({ id: known, message, actions });
    }
  }

  private _message(operation: IOperation): string {
    const { trans, locale } = this._options;
    const name = short(operation.reference);
    const how = progressText(operation, trans, locale);
    const what = this._doing(operation, name);
    return (how ? `${what}: ${how}` : what).slice(0, LONGEST_MESSAGE);
  }

  private _doing({ kind }: IOperation, name: string): string {
    const { trans } = this._options;
    switch (kind) {
      case 'pull':
        return trans.__('Pulling %1', name);
      case 'prepare':
        return trans.__('Adding ipykernel to %1', name);
      case 'build':
        return trans.__('Building %1', name);
      case 'snapshot':
        return trans.__('Saving %1', name);
      case 'load':
        return trans.__('Loading %1', name);
      case 'save':
        return trans.__('Writing %1', name);
    }
  }

  private _end(known: string, { id, kind, state, reference, message }: IOperation): void {
    const { manager, trans, show, showLog } = this._options;
    const name = short(reference);
    switch (state) {
      case 'done':
        manager.update({
          id: known,
          message: kind === 'save' ? trans.__('%1 is written', name) : trans.__('%1 is here', name),
          type: 'success',
          autoClose: SHOWN,
          actions: []
        });
        break;
      case 'cancelled':
        manager.dismiss(known);
        break;
      default: {
        // The log of a pull is how far it got; the panel has all that is to be said of it.
        const action =
          kind === 'pull'
            ? { label: trans.__('Show all'), callback: show }
            : {
                label: trans.__('Show log'),
                callback: () => {
                  showLog(id);
                }
              };
        // The sentence begins with long names, and a notification is short.
        const { sentence, line } = failure(message);
        const what = line === null ? sentence : trans.__('%1 could not be built: %2', name, line);
        manager.update({
          id: known,
          message: what,
          type: 'error',
          autoClose: false,
          actions: [action]
        });
      }
    }
  }

  private readonly _shown = new Map<string, string>();
}

/** The end of a reference tells more than its beginning. */
function short(reference: string): string {
  return reference.length <= LONGEST_NAME ? reference : `…${reference.slice(1 - LONGEST_NAME)}`;
}
