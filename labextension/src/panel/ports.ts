import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { InputDialog, showErrorMessage, WidgetTracker } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { IContainer, IPort, RestAPI } from '../restapi';
import { boardIcon, portIcon } from '../components/icons';
import { PortCommandIDs } from '../commands/ids';
import type { PanelModel } from '../model/panelmodel';
import { containerOf } from './notebooks';
import type { IPortTabArgs, PortTab } from './porttab';

/** Where TensorBoard looks if nobody has ever said. */
const LOGDIR = 'logs';
/** Where the page keeps what was said last. */
const REMEMBERED = 'jupyter-tfcontainer:logdir:';
const LAST_PORT = 65535;

export interface IPortsOptions {
  app: JupyterFrontEnd;
  api: RestAPI;
  model: PanelModel;
  notebooks: INotebookTracker | null;
  palette: ICommandPalette | null;
  restorer: ILayoutRestorer | null;
  trans: TranslationBundle;
}

/** Open what listens in containers: TensorBoard, and any other program. */
export class Ports {
  constructor(private readonly _options: IPortsOptions) {
    const { app, palette, restorer, trans } = _options;
    const { commands } = app;
    const about = (properties: Record<string, { type: string }>) => ({
      args: { type: 'object', properties: { container: { type: 'string' }, ...properties } }
    });
    commands.addCommand(PortCommandIDs.tensorBoard, {
      label: trans.__('TensorBoard…'),
      icon: args => (args.isMenu ? undefined : boardIcon),
      describedBy: about({ logdir: { type: 'string' } }),
      isEnabled: args => this._isReachable(args),
      execute: async args => this._tensorBoard(await this._container(args), args.logdir)
    });
    commands.addCommand(PortCommandIDs.ports, {
      label: trans.__('Ports…'),
      icon: args => (args.isMenu ? undefined : portIcon),
      describedBy: about({ port: { type: 'number' } }),
      isEnabled: args => this._isReachable(args),
      execute: async args => this._port(await this._container(args), args.port)
    });
    commands.addCommand(PortCommandIDs.openTab, {
      label: trans.__('Open a Program in a Container'),
      describedBy: about({
        name: { type: 'string' },
        port: { type: 'number' },
        logdir: { type: 'string' }
      }),
      execute: args => this._openTab(args as IPortTabArgs)
    });
    for (const command of [PortCommandIDs.tensorBoard, PortCommandIDs.ports]) {
      palette?.addItem({ command, category: trans.__('TensorFlow Containers') });
    }
    if (restorer) {
      void restorer.restore(this._tracker, {
        command: PortCommandIDs.openTab,
        args: ({ args }) => args,
        name: ({ id }) => id
      });
    }
  }

  private _isReachable({ container: id }: ReadonlyPartialJSONObject): boolean {
    const { model, notebooks } = this._options;
    if (id === undefined) {
      return !!notebooks?.currentWidget;
    }
    const container = model.containers?.find(each => each.id === id);
    return container !== undefined && !['elsewhere', 'ended'].includes(container.state);
  }

  /** The container that is meant. */
  private async _container({
    container: id
  }: ReadonlyPartialJSONObject): Promise<IContainer | null> {
    const { model, notebooks, trans } = this._options;
    await model.refresh('containers');
    const panel = notebooks?.currentWidget;
    const found =
      id !== undefined
        ? model.containers?.find(each => each.id === id)
        : panel && containerOf(panel, model);
    if (!found) {
      await showErrorMessage(
        trans.__('There is no container'),
        id === undefined
          ? trans.__('The notebook in front does not run in a container.')
          : trans.__('It is gone meanwhile.')
      );
    }
    return found ?? null;
  }

  private async _tensorBoard(container: IContainer | null, given: unknown): Promise<void> {
    if (!container) {
      return;
    }
    const { trans } = this._options;
    const key = REMEMBERED + container.environment;
    let logdir = typeof given === 'string' ? given : null;
    if (logdir === null) {
      const { value } = await InputDialog.getText({
        title: trans.__('TensorBoard of %1', container.display_name),
        label: trans.__('Folder with its logs, from where the notebook is'),
        text: localStorage.getItem(key) ?? LOGDIR,
        okLabel: trans.__('Open')
      });
      logdir = value?.trim() ?? '';
    }
    if (logdir) {
      localStorage.setItem(key, logdir);
      await this._openTab({ container: container.id, name: container.display_name, logdir });
    }
  }

  private async _port(container: IContainer | null, given: unknown): Promise<void> {
    if (!container) {
      return;
    }
    try {
      const port = typeof given === 'number' ? given : await this._ask(container);
      if (port !== null) {
        await this._openTab({ container: container.id, name: container.display_name, port });
      }
    } catch (error) {
      const { trans } = this._options;
      await showErrorMessage(trans.__('The ports could not be listed'), error as Error);
    }
  }

  /** Which port a person wants. */
  private async _ask({ id, display_name }: IContainer): Promise<number | null> {
    const { api, trans } = this._options;
    const ports = await api.ports(id);
    const another = trans.__('Another port…');
    const items = [...ports.map(each => this._describe(each)), another];
    const title = trans.__('Open a Port of %1', display_name);
    const okLabel = trans.__('Open');
    if (ports.length > 0) {
      const { value } = await InputDialog.getItem({
        title,
        label: trans.__('Only this server leads there, and asks who you are.'),
        items,
        okLabel
      });
      if (value !== another) {
        return ports[items.indexOf(value ?? '')]?.port ?? null;
      }
    }
    const { value } = await InputDialog.getNumber({
      title,
      label: trans.__('Number of the port at which a program in the container listens'),
      value: 8000,
      okLabel
    });
    return value !== null && Number.isInteger(value) && value > 0 && value <= LAST_PORT
      ? value
      : null;
  }

  private _describe({ port, declared, listening }: IPort): string {
    const { trans } = this._options;
    return declared && !listening
      ? trans.__('%1 (declared; nobody listens yet)', port)
      : String(port);
  }

  /** Show a program; what is open already comes to the front. */
  private async _openTab(args: IPortTabArgs): Promise<void> {
    const { app, api, trans } = this._options;
    const { container, port, logdir } = args;
    const id = `jp-tfcontainer-port-${container}-${String(port ?? logdir)}`;
    const there = this._tracker.find(each => each.id === id);
    if (there) {
      app.shell.activateById(id);
      return;
    }
    const reach = async () => {
      if (port === undefined) {
        return (await api.tensorBoard(container, logdir ?? '')).url;
      }
      const found = (await api.ports(container)).find(each => each.port === port);
      if (!found?.listening) {
        throw new Error(
          trans.__('Nobody listens at port %1 in the container yet. Start the program there.', port)
        );
      }
      return found.url;
    };
    const { PortTab } = await import('./porttab');
    const tab = new PortTab({ id, args, trans, reach });
    await this._tracker.add(tab);
    app.shell.add(tab, 'main');
    app.shell.activateById(id);
  }

  private readonly _tracker = new WidgetTracker<PortTab>({ namespace: 'jp-tfcontainer-ports' });
}
