import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  ISessionContextDialogs,
  Notification,
  SessionContextDialogs,
  showErrorMessage
} from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { lazy, loadAlternatives } from './lazy';
import type { IKernelspec } from './suggestions/missing';
import type { KernelNotifications } from './notifications';
import { panelPlugin } from './panel/plugin';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- What hears events from the start asks the server.
import { RestAPI } from './restapi';
import { KERNEL_STATE } from './tokens';

/** Says when a kernel starts slowly, and why one died. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-tfcontainer:plugin',
  description: 'Notifies of slow starts and deaths of kernels in containers.',
  autoStart: true,
  optional: [ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    settingRegistry: ISettingRegistry | null,
    translator: ITranslator | null
  ) => {
    const trans = translator ?? nullTranslator;
    const api = new RestAPI(app.serviceManager.serverSettings);
    const alternatives = lazy(() => loadAlternatives(app, api, trans));
    let loaded: KernelNotifications | null = null;
    let slowStart = 1;
    const notifications = lazy(async () => {
      const [{ KernelNotifications }, { Texts }, { showLog }, { showCaveats }, { cancelStart }] =
        await Promise.all([
          import('./notifications'),
          import('./texts'),
          import('./logdialog'),
          import('./caveatsdialog'),
          import('./cancel')
        ]);
      const texts = new Texts(trans);
      loaded = new KernelNotifications({
        manager: Notification.manager,
        texts,
        showLog: (displayName, log) => void showLog(displayName, log, texts),
        showCaveats: (displayName, caveats) => void showCaveats(displayName, caveats, texts),
        cancel: environment => {
          cancelStart(api, environment).catch((error: unknown) =>
            showErrorMessage(texts.notCancelled, error as Error)
          );
        },
        refused: environment => {
          alternatives()
            .then(each => each.refused(environment))
            .catch((reason: unknown) => {
              // JupyterLab's own dialog tells why there is no kernel.
              console.warn('Could not look for what runs instead.', reason);
            });
        }
      });
      loaded.slowStart = slowStart;
      return loaded;
    });
    app.serviceManager.events.stream.connect((_, emission) => {
      if (emission.schema_id === KERNEL_STATE) {
        void notifications().then(each => {
          each.handle(emission);
        });
      }
    });
    app.serviceManager.connectionFailure.connect(() => {
      loaded?.forgetStarts();
    });
    settingRegistry?.load(plugin.id).then(
      settings => {
        const apply = () => {
          slowStart = settings.get('slowStart').composite as number;
          if (loaded) {
            loaded.slowStart = slowStart;
          }
        };
        settings.changed.connect(apply);
        apply();
      },
      (reason: unknown) => {
        console.error(`Failed to load the settings of ${plugin.id}`, reason);
      }
    );
  }
};

/** Offers to make the environment that a notebook was written in. */
const missingEnvironments: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-tfcontainer:missing-environments',
  description:
    'Offers to make the environment that a notebook was written in, where it is missing.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ISessionContextDialogs, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    dialogs: ISessionContextDialogs | null,
    translator: ITranslator | null
  ) => {
    const { kernelspecs, serverSettings } = app.serviceManager;
    const missing = lazy(async () => {
      const [{ MissingEnvironments }, { Texts }] = await Promise.all([
        import('./suggestions/missing'),
        import('./texts')
      ]);
      return new MissingEnvironments({
        api: new RestAPI(serverSettings),
        kernelspecs,
        texts: new Texts(translator ?? nullTranslator),
        dialogs: dialogs ?? new SessionContextDialogs(translator ? { translator } : {})
      });
    });
    tracker.widgetAdded.connect((_, panel) => {
      Promise.all([missing(), panel.context.ready])
        .then(([each]) =>
          each.opened(
            panel.title.label,
            (panel.content.model?.getMetadata('kernelspec') ?? {}) as IKernelspec,
            panel.sessionContext
          )
        )
        .catch((reason: unknown) => {
          // Without the offer the notebook is as it would be without us.
          console.warn('Could not offer to make the environment of a notebook.', reason);
        });
    });
  }
};

export default [plugin, missingEnvironments, panelPlugin];
