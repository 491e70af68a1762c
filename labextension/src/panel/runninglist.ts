import { showErrorMessage } from '@jupyterlab/apputils';
import type { IRunningSessions } from '@jupyterlab/running';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IContainer, RestAPI } from '../restapi';
import { containersIcon } from '../components/icons';
import { CommandIDs } from '../commands/ids';
import type { PanelModel } from '../model/panelmodel';

export interface IRunningContainersOptions {
  model: Pick<
    PanelModel,
    'containers' | 'changed' | 'isStale' | 'staled' | 'refresh' | 'session' | 'during'
  >;
  api: Pick<RestAPI, 'removeContainer'>;
  commands: Pick<CommandRegistry, 'execute'>;
  trans: TranslationBundle;
  /** Whether JupyterLab's list of what runs is in sight. */
  isSeen: () => boolean;
}

/** Containers that run or stand by, in JupyterLab's own list of what runs. */
export class RunningContainers implements IRunningSessions.IManager {
  constructor(private readonly _options: IRunningContainersOptions) {
    const { model, trans } = _options;
    this.name = trans.__('TensorFlow Containers');
    this.shutdownLabel = trans.__('Stop the container');
    this.shutdownAllLabel = trans.__('Stop All');
    this.shutdownAllConfirmationText = trans.__(
      'All kernels in containers end, and their containers are removed.'
    );
    model.changed.connect(() => {
      this._look();
    }, this);
    model.staled.connect(() => {
      this._refreshIfSeen();
    }, this);
  }

  readonly name: string;
  readonly shutdownLabel: string;
  readonly shutdownAllLabel: string;
  readonly shutdownAllConfirmationText: string;

  /** Emitted when there are others, or one is otherwise. */
  get runningChanged(): ISignal<this, void> {
    return this._runningChanged;
  }

  running(): IRunningSessions.IRunningItem[] {
    this._refreshIfSeen();
    return this._containers().map(container => this._item(container));
  }

  refreshRunning(): void {
    void this._options.model.refresh();
  }

  shutdownAll(): void {
    for (const container of this._containers()) {
      this._stop(container);
    }
  }

  private _item(container: IContainer): IRunningSessions.IRunningItem {
    const { commands, model, trans } = this._options;
    const { id, display_name, image, state } = container;
    const session = model.session(container);
    // Some have a path only.
    const title = [session?.name, session?.path].find(each => each) ?? '';
    return {
      className: 'jp-mod-tfcontainer',
      icon: () => containersIcon,
      label: () => display_name,
      labelTitle: () => image,
      detail: () => (state === 'standby' ? trans.__('Waits for a kernel') : title),
      open: () => {
        void (session
          ? commands.execute(CommandIDs.openNotebook, { container: id })
          : commands.execute(CommandIDs.open));
      },
      shutdown: () => {
        this._stop(container);
      }
    };
  }

  private _stop({ id }: IContainer): void {
    const { api, model, trans } = this._options;
    model
      .during(id, trans.__('Stopping…'), () => api.removeContainer(id))
      .catch((error: unknown) =>
        showErrorMessage(trans.__('The container could not be stopped'), error as Error)
      );
  }

  /** Those that are ours to stop. */
  private _containers(): IContainer[] {
    return (this._options.model.containers ?? []).filter(
      ({ state }) => state !== 'ended' && state !== 'elsewhere'
    );
  }

  private _look(): void {
    const { model } = this._options;
    const shown = JSON.stringify(
      this._containers().map(each => [each.id, each.state, model.session(each)?.path])
    );
    if (shown !== this._shown) {
      this._shown = shown;
      this._runningChanged.emit();
    }
  }

  private _refreshIfSeen(): void {
    // While it is about to be shown it is not in sight yet.
    requestAnimationFrame(() => {
      const { model, isSeen } = this._options;
      if (model.isStale && isSeen()) {
        void model.refresh();
      }
    });
  }

  private readonly _runningChanged = new Signal<this, void>(this);
  private _shown = '[]';
}
