import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { IStatusBar } from '@jupyterlab/statusbar';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import * as React from 'react';

import { memory } from '../format';
import { CommandIDs } from '../commands/ids';
import { containerOf, type INotebooksOptions, isOurs } from './notebooks';

/** Where the item is in the status bar: behind the kernel's. */
const RANK = 3;

export interface IStatusOptions extends INotebooksOptions {
  notebooks: INotebookTracker;
  statusBar: IStatusBar;
}

/** Show in the status bar which container the notebook in front runs in. */
export function addStatus(options: IStatusOptions): void {
  const status = new ContainerStatus(options);
  options.statusBar.registerStatusItem('jupyter-tfcontainer:status', {
    item: status,
    align: 'left',
    rank: RANK,
    isActive: () => status.isActive,
    activeStateChanged: status.activeChanged
  });
}

/** In the status bar: the container of the notebook in front. */
class ContainerStatus extends ReactWidget {
  constructor(private readonly _options: IStatusOptions) {
    super();
    this.addClass('jp-tfcontainer-Status');
    const { notebooks, app } = _options;
    const look = () => {
      this._look();
    };
    const listen = (panel: NotebookPanel) => {
      panel.sessionContext.kernelChanged.connect(look, this);
    };
    notebooks.forEach(listen);
    notebooks.widgetAdded.connect((_, panel) => {
      listen(panel);
    }, this);
    notebooks.currentChanged.connect(look, this);
    app.shell.currentChanged?.connect(look, this);
    app.serviceManager.kernelspecs.specsChanged.connect(look, this);
    look();
  }

  /** Whether there is anything to show. */
  get isActive(): boolean {
    return this._panel !== null;
  }

  readonly activeChanged = new Signal<this, void>(this);

  override dispose(): void {
    this._watch?.dispose();
    super.dispose();
  }

  protected override render(): React.JSX.Element {
    const { model } = this._options;
    return (
      <UseSignal signal={model.changed}>
        {() => <UseSignal signal={model.figuresChanged}>{() => this._button()}</UseSignal>}
      </UseSignal>
    );
  }

  private _button(): React.JSX.Element {
    const { app, model, trans } = this._options;
    const container = this._panel && containerOf(this._panel, model);
    if (!container) {
      return <></>;
    }
    const figures = model.figures.get(container.id);
    const used = figures?.last && memory(figures.last.memory);
    const limit = figures?.memoryLimit;
    const text = !used ? '' : limit ? trans.__('%1 of %2', used, memory(limit)) : used;
    const onCards = figures?.last?.gpuMemory ?? null;
    return (
      <button
        className="jp-tfcontainer-StatusButton"
        type="button"
        title={trans.__('Container of this notebook: show it')}
        onClick={() => void app.commands.execute(CommandIDs.open)}
      >
        {[
          container.display_name,
          ...(text ? [text] : []),
          ...(onCards === null ? [] : [trans.__('GPU %1', memory(onCards))])
        ].join(' · ')}
      </button>
    );
  }

  private _look(): void {
    const { notebooks, app, model } = this._options;
    const front: Widget | null = app.shell.currentWidget;
    const current = notebooks.currentWidget;
    const panel = current && current === front && isOurs(current, this._options) ? current : null;
    if (panel === this._panel) {
      return;
    }
    this._panel = panel;
    this._watch?.dispose();
    this._watch = panel ? model.watch() : null;
    this.activeChanged.emit();
    this.update();
  }

  private _panel: NotebookPanel | null = null;
  private _watch: IDisposable | null = null;
}
