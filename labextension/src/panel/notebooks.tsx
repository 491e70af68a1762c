import type { JupyterFrontEnd } from '@jupyterlab/application';
import { type INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { KernelSpec } from '@jupyterlab/services';
import type { IStatusBar } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import { MenuSvg, ReactWidget, ToolbarButton, UseSignal } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import * as React from 'react';

import { memory } from '../format';
import type { IContainer } from '../restapi';
import { CommandIDs } from './commands';
import { containersIcon } from './icons';
import type { PanelModel } from './model';
import { PortCommandIDs } from './ports';

/** The kernel provisioner that our kernelspecs name. */
const PROVISIONER = 'tfcontainer-provisioner';

/** The item of a notebook's toolbar behind which ours stands. */
const NEIGHBOUR = 'cellType';

/** Where the item is in the status bar: behind the kernel's. */
const RANK = 3;

export interface INotebooksOptions {
  app: JupyterFrontEnd;
  model: PanelModel;
  notebooks: INotebookTracker;
  statusBar: IStatusBar | null;
  trans: TranslationBundle;
}

/** Show in notebooks which container they run in, and what can be done with it. */
export function addToNotebooks(options: INotebooksOptions): void {
  const { app, statusBar } = options;
  app.docRegistry.addWidgetExtension('Notebook', {
    createNew: panel => (panel instanceof NotebookPanel ? addButton(panel, options) : undefined)
  });
  if (statusBar) {
    const status = new ContainerStatus(options);
    statusBar.registerStatusItem('jupyter-tfcontainer:status', {
      item: status,
      align: 'left',
      rank: RANK,
      isActive: () => status.isActive,
      activeStateChanged: status.activeChanged
    });
  }
}

/** Whether a kernelspec is one of our environments. */
export function isEnvironment(spec: KernelSpec.ISpecModel | undefined): boolean {
  const provisioner = spec?.metadata?.kernel_provisioner as
    { provisioner_name?: unknown } | undefined;
  return provisioner?.provisioner_name === PROVISIONER;
}

/** Whether the kernel of a notebook is in a container. */
function isOurs(panel: NotebookPanel, { app }: INotebooksOptions): boolean {
  const name = panel.sessionContext.session?.kernel?.name;
  return isEnvironment(app.serviceManager.kernelspecs.specs?.kernelspecs[name ?? '']);
}

/** The container of a notebook. */
export function containerOf(panel: NotebookPanel, model: PanelModel): IContainer | undefined {
  const kernel = panel.sessionContext.session?.kernel?.id;
  return kernel === undefined
    ? undefined
    : model.containers?.find(each => each.kernel?.id === kernel);
}

/** The button in a notebook's toolbar; it is there while its kernel is in a container. */
function addButton(panel: NotebookPanel, options: INotebooksOptions): IDisposable {
  const { app, model, trans } = options;
  const button = new ToolbarButton({
    icon: containersIcon,
    tooltip: trans.__('Container of this notebook'),
    onClick: () => {
      model.refresh('engine', 'containers').then(
        () => {
          const container = containerOf(panel, model);
          if (container) {
            openMenu(button.node, container, options);
          }
        },
        () => undefined
      );
    }
  });
  const show = () => {
    button.setHidden(!isOurs(panel, options));
  };
  panel.toolbar.insertAfter(NEIGHBOUR, 'tfcontainer', button);
  panel.sessionContext.kernelChanged.connect(show);
  app.serviceManager.kernelspecs.specsChanged.connect(show);
  show();
  return new DisposableDelegate(() => {
    panel.sessionContext.kernelChanged.disconnect(show);
    app.serviceManager.kernelspecs.specsChanged.disconnect(show);
    button.dispose();
  });
}

function openMenu(node: HTMLElement, { id }: IContainer, { app }: INotebooksOptions): void {
  const { commands } = app;
  const menu = new MenuSvg({ commands });
  for (const command of [
    CommandIDs.openTerminal,
    CommandIDs.openRootTerminal,
    CommandIDs.showLog,
    PortCommandIDs.tensorBoard,
    PortCommandIDs.ports,
    CommandIDs.restartFresh,
    CommandIDs.saveAsImage
  ]) {
    menu.addItem({ command, args: { container: id } });
  }
  menu.addItem({ type: 'separator' });
  menu.addItem({ command: CommandIDs.open });
  menu.aboutToClose.connect(() => {
    // The command runs after that.
    requestAnimationFrame(() => {
      menu.dispose();
    });
  });
  const { left, bottom } = node.getBoundingClientRect();
  menu.open(left, bottom);
}

/** In the status bar: the container of the notebook in front. */
class ContainerStatus extends ReactWidget {
  constructor(private readonly _options: INotebooksOptions) {
    super();
    this.addClass('jp-tfcontainer-Status');
    const { notebooks, app } = _options;
    const look = () => {
      this._look();
    };
    notebooks.widgetAdded.connect((_, panel) => {
      panel.sessionContext.kernelChanged.connect(look);
    });
    notebooks.currentChanged.connect(look);
    app.shell.currentChanged?.connect(look);
    app.serviceManager.kernelspecs.specsChanged.connect(look);
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
