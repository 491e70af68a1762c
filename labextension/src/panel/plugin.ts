import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification, showErrorMessage } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRunningSessionManagers } from '@jupyterlab/running';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { lazy, loadAlternatives } from '../lazy';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- What hears events from the start asks the server.
import { RestAPI } from '../restapi';
import { ENVIRONMENTS } from '../tokens';
import { DiskModel } from '../model/diskmodel';
import { upload } from '../documents';
import { rememberFolds } from './folds';
import { containersIcon } from '../components/icons';
import { CommandIDs, ImageCommandIDs } from '../commands/ids';
import type { ILogOptions } from './logview';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- It hears events from the start.
import { PanelModel } from '../model/panelmodel';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- Notebooks that are restored get their button as well.
import { addToNotebooks } from './notebooks';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- Its tabs are restored.
import { Ports } from './ports';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- It is in the side bar from the start.
import { ContainersPanel } from './panel';

/** Where the panel is among the others of its side. */
const RANK = 400;

/** The id of JupyterLab's own list of what runs. */
const RUNNING = 'jp-running-sessions';

const NO_ARGUMENTS = { type: 'object', properties: {} };

/** The side panel with environments and containers. */
export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-tfcontainer:panel',
  description: 'A side panel with the machine, the environments and the containers.',
  autoStart: true,
  optional: [
    ICommandPalette,
    IDefaultFileBrowser,
    ILauncher,
    ILayoutRestorer,
    INotebookTracker,
    IRunningSessionManagers,
    ISettingRegistry,
    IStateDB,
    IStatusBar,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    browser: IDefaultFileBrowser | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    runningManagers: IRunningSessionManagers | null,
    settingRegistry: ISettingRegistry | null,
    state: IStateDB | null,
    statusBar: IStatusBar | null,
    translator_: ITranslator | null
  ) => {
    const { commands, serviceManager: services } = app;
    const translator = translator_ ?? nullTranslator;
    const trans = translator.load('jupyter_tfcontainer');
    const api = new RestAPI(services.serverSettings);
    const model = new PanelModel({
      api,
      events: services.events.stream,
      sessions: services.sessions
    });
    const disk = new DiskModel(api);
    services.events.stream.connect((_, { schema_id }) => {
      if (schema_id === ENVIRONMENTS) {
        // Launchers of this page: JupyterLab itself looks once a minute.
        void services.kernelspecs.refreshSpecs();
      }
    });
    services.connectionFailure.connect(() => {
      model.lost();
    });
    const pulls = lazy(async () => {
      const [{ PullNotifications }, { Texts }] = await Promise.all([
        import('./pulls'),
        import('../texts')
      ]);
      return new PullNotifications({
        manager: Notification.manager,
        trans,
        locale: new Texts(translator).locale,
        cancel: operation => void commands.execute(CommandIDs.cancelOperation, { operation }),
        showLog: operation => void commands.execute(ImageCommandIDs.showLog, { operation }),
        show: () => void commands.execute(CommandIDs.open)
      });
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
      const awaited = model.pullsForStart;
      void pulls().then(each => {
        each.handle(operation, awaited);
      });
    });
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
    const alternatives = lazy(() => loadAlternatives(app, api, translator));
    const addCommands = lazy(async () => {
      const [{ addPanelCommands }, { addImageCommands }, { addDiskCommands }] = await Promise.all([
        import('../commands'),
        import('../commands/imagebuild'),
        import('../commands/disk')
      ]);
      addDiskCommands({ commands, disk, model, api, trans });
      addPanelCommands({
        commands,
        model,
        api,
        services,
        trans,
        browser,
        edit: async environment => (await dialogs()).edit(environment),
        useInstead: async environment => (await alternatives()).use(environment),
        showLog: ({ id, display_name }) =>
          showLog({
            id: logId(id),
            displayName: display_name,
            title: trans.__('Log of %1', display_name),
            ended: trans.__('The log has ended: the container is gone, or the server.'),
            follow: (take, signal) => api.followLog(id, take, signal)
          }),
        showOutput: ({ id, display_name }) =>
          showLog({
            id: logId(`output-${id}`),
            displayName: display_name,
            title: trans.__('Output of %1', display_name),
            ended: trans.__('To here, when it was read'),
            follow: async take => {
              const { output, complete } = await api.output(id);
              take(complete ? output : `${trans.__('[What came before is not kept.]')}\n${output}`);
            }
          })
      });
      addImageCommands({
        commands,
        model,
        api,
        trans,
        dialogs: async () => {
          const { ImageDialogs } = await import('../imagebuild/dialog');
          const { contents } = services;
          return new ImageDialogs({ api, model, contents, browser, translator, trans });
        },
        showLog: async id => {
          const { followOperation } = await import('../operationlog');
          const { reference } = model.operations.get(id) ?? (await api.operation(id));
          const ask = (one: string) => api.operation(one);
          await showLog({
            id: logId(id),
            displayName: reference,
            title: trans.__('Log of %1', reference),
            ended: trans.__('The log has ended.'),
            follow: (take, signal) =>
              followOperation({ id, ask, operated: model.operated }, take, signal)
          });
        }
      });
    });
    const panel = new ContainersPanel({
      model,
      translator,
      trans,
      fill: async sections => {
        const [{ fillSections }, { Texts }] = await Promise.all([
          import('./sections'),
          import('../texts'),
          addCommands()
        ]);
        fillSections(sections, { model, disk, commands, trans, texts: new Texts(translator) });
      }
    });
    app.shell.add(panel, 'left', { rank: RANK, type: 'TensorFlow Containers' });
    restorer?.add(panel, panel.id);
    commands.addCommand(CommandIDs.open, {
      label: ({ isLauncher }) =>
        isLauncher ? trans.__('TensorFlow Containers') : trans.__('Show TensorFlow Containers'),
      caption: trans.__('The machine, the environments, and the containers that run'),
      icon: containersIcon,
      describedBy: {
        args: { type: 'object', properties: { isLauncher: { type: 'boolean' } } }
      },
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
    const settings = settingRegistry?.load(panelPlugin.id) ?? Promise.resolve(null);
    settings
      .then(async loaded => {
        const apply = () => {
          model.setLive(
            loaded?.get('interval').composite as number,
            loaded?.get('liveFigures').composite as boolean
          );
        };
        if (loaded) {
          loaded.changed.connect(apply);
          apply();
        }
        await rememberFolds(
          panel,
          state,
          (loaded?.get('folded').composite ?? ['disk']) as string[]
        );
      })
      .catch((reason: unknown) => {
        console.error(`Failed to load the settings of ${panelPlugin.id}`, reason);
      });
    launcher?.add({
      command: CommandIDs.open,
      args: { isLauncher: true },
      category: otherCategory(translator)
    });
    addToNotebooks({ app, model, trans });
    void app.restored.then(async () => {
      await addCommands();
      if (notebooks && statusBar) {
        const { addStatus } = await import('./status');
        addStatus({ app, model, notebooks, statusBar, trans });
      }
      if (runningManagers) {
        const { RunningContainers } = await import('./runninglist');
        const isSeen = () =>
          [...app.shell.widgets('left'), ...app.shell.widgets('right')].some(
            each => each.id === RUNNING && each.isVisible
          );
        runningManagers.add(new RunningContainers({ model, api, commands, trans, isSeen }));
      }
    });
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

/** The launcher's category for what is no kernel, as JupyterLab itself calls it. */
function otherCategory(translator: ITranslator): string {
  const trans = translator.load('jupyterlab');
  return trans.__('Other');
}

/** The id of the widget with the log of a container or an operation. */
function logId(id: string): string {
  return `jp-tfcontainer-log-${id}`;
}
