import type { JupyterFrontEnd } from '@jupyterlab/application';
import { NotebookPanel } from '@jupyterlab/notebook';
import type { KernelSpec } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { MenuSvg, ToolbarButton } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';

import type { IContainer } from '../restapi';
import { containersIcon } from '../components/icons';
import { CommandIDs, PortCommandIDs } from '../commands/ids';
import type { PanelModel } from '../model/panelmodel';

/** The kernel provisioner that our kernelspecs name. */
const PROVISIONER = 'tfcontainer-provisioner';

/** The item of a notebook's toolbar behind which ours stands. */
const NEIGHBOUR = 'cellType';

export interface INotebooksOptions {
  app: JupyterFrontEnd;
  model: PanelModel;
  trans: TranslationBundle;
}

/** Show in notebooks what can be done with the container they run in. */
export function addToNotebooks(options: INotebooksOptions): void {
  options.app.docRegistry.addWidgetExtension('Notebook', {
    createNew: panel => (panel instanceof NotebookPanel ? addButton(panel, options) : undefined)
  });
}

/** Whether a kernelspec is one of our environments. */
export function isEnvironment(spec: KernelSpec.ISpecModel | undefined): boolean {
  const provisioner = spec?.metadata?.kernel_provisioner as
    { provisioner_name?: unknown } | undefined;
  return provisioner?.provisioner_name === PROVISIONER;
}

/** Whether the kernel of a notebook is in a container. */
export function isOurs(panel: NotebookPanel, { app }: INotebooksOptions): boolean {
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
    CommandIDs.showOutput,
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
