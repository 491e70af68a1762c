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
import { PanelModel } from './model';
import { addToNotebooks } from './notebooks';
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
      show: () => void commands.execute(CommandIDs.open)
    });
    let ready = model.ready;
    model.changed.connect(() => {
      if (model.ready !== ready) {
        ready = model.ready;
        commands.notifyCommandChanged(CommandIDs.pull);
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
    new PanelCommands({
      commands,
      model,
      api,
      services,
      trans,
      browser,
      edit: async environment => (await dialogs()).edit(environment),
      showLog: async ({ id, display_name }) => {
        const { LogPanel } = await import('./logview');
        const there = [...app.shell.widgets('main')].find(each => each.id === logId(id));
        if (!there) {
          const log = new LogPanel({
            id: logId(id),
            displayName: display_name,
            trans,
            follow: (take, signal) => api.followLog(id, take, signal)
          });
          app.shell.add(log, 'main', { mode: 'split-bottom' });
        }
        app.shell.activateById(logId(id));
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
    if (notebooks) {
      addToNotebooks({ app, model, notebooks, statusBar, trans });
    }
    for (const command of [
      CommandIDs.open,
      CommandIDs.addEnvironment,
      CommandIDs.importEnvironment,
      CommandIDs.pull
    ]) {
      palette?.addItem({ command, category: trans.__('TensorFlow Containers') });
    }
  }
};

/** The id of the widget with a container's log. */
function logId(container: string): string {
  return `jp-tfcontainer-log-${container}`;
}
