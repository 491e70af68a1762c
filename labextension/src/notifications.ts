import type { Notification, NotificationManager } from '@jupyterlab/apputils';

import type { Texts } from './texts';
import type { IKernelDead, IKernelRunning, IKernelStarting, KernelEvent } from './tokens';
import { parseKernelEvent } from './tokens';

/** How long it stays to be seen that a slow start succeeded, in milliseconds. */
const SUCCESS_SHOWN = 4000;

/** How long it stays to be seen that there are caveats, in milliseconds; it is in the list of notifications afterwards. */
const WARNING_SHOWN = 10000;

/** A start that has not ended. */
interface IStart {
  /** What it does now. */
  message: string;
  /** Whether it waits for its image, which can be cancelled. */
  waits: boolean;
  timer: ReturnType<typeof setTimeout>;
  /** The notification, once the start is slow. */
  notification?: string;
}

/** Turns what happens to kernels into notifications: slow starts and deaths, one of each per kernel at a time. */
export class KernelNotifications {
  constructor(options: KernelNotifications.IOptions) {
    this._manager = options.manager;
    this._texts = options.texts;
    this._showLog = options.showLog;
    this._showCaveats = options.showCaveats;
    this._cancel = options.cancel;
    this._refused = options.refused;
  }

  /** After how many seconds a start is slow. */
  slowStart = 1;

  /**
   * Take notice of an event of the server, whichever it is.
   *
   * @param emission The event as it came.
   */
  handle(emission: unknown): void {
    const event = parseKernelEvent(emission);
    if (event) {
      this._apply(event);
    }
  }

  /** Drop every start: the server is gone, and will not tell how they ended. */
  forgetStarts(): void {
    for (const kernelId of [...this._starts.keys()]) {
      this._dismiss(this._endStart(kernelId));
    }
  }

  private _apply(event: KernelEvent): void {
    switch (event.state) {
      case 'starting':
        this._progress(event);
        break;
      case 'running':
        this._succeed(event.kernel_id, this._texts.running(event.display_name));
        this._warn(event);
        break;
      case 'failed':
        // JupyterLab's own dialog tells why.
        this._dismiss(this._endStart(event.kernel_id));
        this._refused(event.environment);
        break;
      case 'dead':
        this._dismiss(this._endStart(event.kernel_id));
        this._mourn(event);
        break;
    }
  }

  private _progress(event: IKernelStarting): void {
    const message = this._texts.starting(event);
    const waits = event.step === 'pull' || event.step === 'prepare';
    const start = this._starts.get(event.kernel_id);
    if (!start) {
      const begun: IStart = {
        message,
        waits,
        timer: setTimeout(() => {
          begun.notification = this._manager.notify(begun.message, 'in-progress', {
            autoClose: false,
            actions: this._cancels(begun, event)
          });
        }, this.slowStart * 1000)
      };
      this._starts.set(event.kernel_id, begun);
      return;
    }
    if (start.message === message) {
      return;
    }
    start.message = message;
    start.waits = waits;
    if (start.notification !== undefined) {
      // Does nothing if the person has dismissed it: they know.
      this._manager.update({
        id: start.notification,
        message,
        actions: this._cancels(start, event)
      });
    }
  }

  /** The button that ends a start, while it waits for its image. */
  private _cancels({ waits }: IStart, { environment }: IKernelStarting): Notification.IAction[] {
    return waits
      ? [
          {
            label: this._texts.cancel,
            callback: () => {
              this._cancel(environment);
            }
          }
        ]
      : [];
  }

  private _succeed(kernelId: string, message: string): void {
    const notification = this._endStart(kernelId);
    if (notification !== undefined) {
      this._manager.update({
        id: notification,
        message,
        type: 'success',
        autoClose: SUCCESS_SHOWN,
        actions: []
      });
    }
  }

  private _warn({ display_name, caveats }: IKernelRunning): void {
    // Once for each environment and page: a restart tells nothing new.
    if (caveats.length === 0 || this._warned.has(display_name)) {
      return;
    }
    this._warned.add(display_name);
    this._manager.notify(this._texts.caveats(display_name, caveats.length), 'warning', {
      autoClose: WARNING_SHOWN,
      actions: [
        {
          label: this._texts.showCaveats,
          callback: () => {
            this._showCaveats(display_name, caveats);
          }
        }
      ]
    });
  }

  private _mourn(event: IKernelDead): void {
    const { kernel_id, display_name, log } = event;
    const message = this._texts.dead(event);
    const options = {
      autoClose: false as const,
      actions: log
        ? [
            {
              label: this._texts.showLog,
              callback: (click: MouseEvent) => {
                // Keep the notification: nothing else has the log of a container that is gone.
                click.preventDefault();
                this._showLog(display_name, log);
              }
            }
          ]
        : []
    };
    // A kernel that dies again and again is one piece of news.
    const known = this._deaths.get(kernel_id);
    if (known === undefined || !this._manager.update({ id: known, message, ...options })) {
      this._deaths.set(kernel_id, this._manager.notify(message, 'error', options));
    }
  }

  /** Forget a start; returns its notification, if it came to one. */
  private _endStart(kernelId: string): string | undefined {
    const start = this._starts.get(kernelId);
    clearTimeout(start?.timer);
    this._starts.delete(kernelId);
    return start?.notification;
  }

  private _dismiss(notification: string | undefined): void {
    // Without an id, the manager dismisses everything.
    if (notification !== undefined) {
      this._manager.dismiss(notification);
    }
  }

  private readonly _manager: KernelNotifications.IManager;
  private readonly _texts: Texts;
  private readonly _showLog: KernelNotifications.IOptions['showLog'];
  private readonly _showCaveats: KernelNotifications.IOptions['showCaveats'];
  private readonly _cancel: KernelNotifications.IOptions['cancel'];
  private readonly _refused: KernelNotifications.IOptions['refused'];
  private readonly _warned = new Set<string>();
  private readonly _starts = new Map<string, IStart>();
  private readonly _deaths = new Map<string, string>();
}

export namespace KernelNotifications {
  /** What we use of JupyterLab's notifications. */
  export type IManager = Pick<NotificationManager, 'notify' | 'update' | 'dismiss'>;

  export interface IOptions {
    manager: IManager;
    texts: Texts;
    /** Show the last lines of a container's log. */
    showLog: (displayName: string, log: string) => void;
    /** Show what is to be said of an environment on this machine. */
    showCaveats: (displayName: string, caveats: string[]) => void;
    /** Cancel what a start of an environment waits for. */
    cancel: (environment: string) => void;
    /** A start of an environment has failed. */
    refused: (environment: string) => void;
  }
}
