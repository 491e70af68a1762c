import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification, showErrorMessage } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { RestAPI } from '../restapi';
import { Texts } from '../texts';
import { ENVIRONMENTS } from '../tokens';
import { CommandIDs, PanelCommands } from './commands';
import { upload } from './documents';
import { containersIcon } from './icons';
import { addImageCommands, ImageCommandIDs } from './imagecommands';
import type { ILogOptions } from './logview';
import { PanelModel } from './model';
import { addToNotebooks } from './notebooks';
import { Ports } from './ports';
import { PullNotifications } from './pulls';
import { ContainersPanel } from './panel';

/** Where the panel is among the others of its side. */
const RANK = 400;

const NO_ARGUMENTS = { type: 'object', properties: {} };

/** The side panel with environments and containers. */
export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-tfcontainer:panel',
  description: 'A side panel with the machine, the environments and the containers.',
  autoStart: true,
  optional: [
    ICommandPalette,
    IDefaultFileBrowser,
    ILayoutRestorer,
    INotebookTracker,
    IStatusBar,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    browser: IDefaultFileBrowser | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    statusBar: IStatusBar | null,
    translator_: ITranslator | null
  ) => {
    const { commands, serviceManager: services } = app;
    const translator = translator_ ?? nullTranslator;
    const trans = translator.load('jupyter_tfcontainer');
    const texts = new Texts(translator);
    const api = new RestAPI(services.serverSettings);
    const model = new PanelModel({
      api,
      events: services.events.stream,
      sessions: services.sessions
    });
    services.events.stream.connect((_, { schema_id }) => {
      if (schema_id === ENVIRONMENTS) {
        // Launchers of this page: JupyterLab itself looks once a minute.
        void services.kernelspecs.refreshSpecs();
      }
    });
    services.connectionFailure.connect(() => {
      model.lost();
    });
    const pulls = new PullNotifications({
      manager: Notification.manager,
      trans,
      locale: texts.locale,
      cancel: operation => void commands.execute(CommandIDs.cancelOperation, { operation }),
      showLog: operation => void commands.execute(ImageCommandIDs.showLog, { operation }),
      show: () => void commands.execute(CommandIDs.open)
    });
    let ready = model.ready;
    model.changed.connect(() => {
      if (model.ready !== ready) {
        ready = model.ready;
        for (const id of [CommandIDs.pull, ImageCommandIDs.build, ImageCommandIDs.load]) {
          commands.notifyCommandChanged(id);
        }
      }
    });
    model.operated.connect((_, operation) => {
      pulls.handle(operation, model.pullsForStart);
    });
    const panel = new ContainersPanel({ model, commands, translator, trans, texts });
    app.shell.add(panel, 'left', { rank: RANK, type: 'TensorFlow Containers' });
    restorer?.add(panel, panel.id);
    const dialogs = async () => {
      // Loaded when first needed: it takes no part of JupyterLab's start.
      const { EnvironmentDialogs } = await import('../add/dialog');
      return new EnvironmentDialogs({
        api,
        model,
        commands,
        trans,
        kernelspecs: services.kernelspecs
      });
    };
    const showLog = async (options: Omit<ILogOptions, 'trans'>) => {
      const { LogPanel } = await import('./logview');
      const logs = [...app.shell.widgets('main')].filter(each => each.id.startsWith(logId('')));
      if (!logs.some(each => each.id === options.id)) {
        // Beside the others, if there are any.
        const ref = logs.at(-1)?.id;
        app.shell.add(
          new LogPanel({ ...options, trans }),
          'main',
          ref === undefined ? { mode: 'split-bottom' } : { mode: 'tab-after', ref }
        );
      }
      app.shell.activateById(options.id);
    };
    new PanelCommands({
      commands,
      model,
      api,
      services,
      trans,
      browser,
      edit: async environment => (await dialogs()).edit(environment),
      showLog: ({ id, display_name }) =>
        showLog({
          id: logId(id),
          displayName: display_name,
          ended: trans.__('The log has ended: the container is gone, or the server.'),
          follow: (take, signal) => api.followLog(id, take, signal)
        })
    });
    addImageCommands({
      commands,
      model,
      api,
      trans,
      dialogs: async () => {
        const { ImageDialogs } = await import('../making/dialog');
        const { contents } = services;
        return new ImageDialogs({ api, model, contents, browser, translator, trans });
      },
      showLog: async id => {
        const { followOperation } = await import('./operationlog');
        const { reference } = model.operations.get(id) ?? (await api.operation(id));
        const ask = (one: string) => api.operation(one);
        await showLog({
          id: logId(id),
          displayName: reference,
          ended: trans.__('The log has ended.'),
          follow: (take, signal) =>
            followOperation({ id, ask, operated: model.operated }, take, signal)
        });
      }
    });
    commands.addCommand(CommandIDs.open, {
      label: trans.__('Show TensorFlow Containers'),
      icon: containersIcon,
      describedBy: { args: NO_ARGUMENTS },
      execute: () => {
        app.shell.activateById(panel.id);
      }
    });
    commands.addCommand(CommandIDs.addEnvironment, {
      label: trans.__('Add Environment…'),
      describedBy: {
        args: { type: 'object', properties: { image: { type: 'string' } } }
      },
      execute: async ({ image }) => (await dialogs()).add(image as string | undefined)
    });
    commands.addCommand(CommandIDs.importEnvironment, {
      label: trans.__('Import Environment…'),
      describedBy: { args: NO_ARGUMENTS },
      execute: async () => {
        try {
          const text = await upload('.json,application/json');
          if (text !== null) {
            await api.importEnvironment(JSON.parse(text));
            await Promise.all([model.refresh('environments'), services.kernelspecs.refreshSpecs()]);
          }
        } catch (error) {
          await showErrorMessage(trans.__('The environment could not be imported'), error as Error);
        }
      }
    });
    new Ports({ app, api, model, notebooks, palette, restorer, trans });
    if (notebooks) {
      addToNotebooks({ app, model, notebooks, statusBar, trans });
    }
    for (const command of [
      CommandIDs.open,
      CommandIDs.addEnvironment,
      CommandIDs.importEnvironment,
      CommandIDs.pull,
      ImageCommandIDs.build,
      ImageCommandIDs.load
    ]) {
      palette?.addItem({ command, category: trans.__('TensorFlow Containers') });
    }
  }
};

/** The id of the widget with the log of a container or an operation. */
function logId(id: string): string {
  return `jp-tfcontainer-log-${id}`;
}
