import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IDisk, RestAPI } from '../restapi';

/** What takes room on the disk, as it was when somebody last asked: to count it takes the server a while. */
export class DiskModel {
  constructor(private readonly _api: Pick<RestAPI, 'disk'>) {}

  /** Null until somebody has asked. */
  measured: IDisk | null = null;

  /** Whether it is being counted. */
  get measuring(): boolean {
    return this._measuring !== null;
  }

  /** Emitted when counting begins, and when it has ended. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Count anew; who asks meanwhile gets the same answer. */
  measure(): Promise<void> {
    this._measuring ??= this._measure().finally(() => {
      this._measuring = null;
      this._changed.emit();
    });
    this._changed.emit();
    return this._measuring;
  }

  /** Count anew what was counted before: it is not what it was. */
  async outdated(): Promise<void> {
    if (this.measured) {
      // What is being counted may be from before.
      await this._measuring?.catch(() => undefined);
      await this.measure();
    }
  }

  private async _measure(): Promise<void> {
    this.measured = await this._api.disk();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _measuring: Promise<void> | null = null;
}
