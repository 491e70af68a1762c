import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISessionContextDialogs, Notification, SessionContextDialogs } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { showCaveats } from './caveatsdialog';
import { showLog } from './logdialog';
import { type IKernelspec, MissingEnvironments } from './missing';
import { KernelNotifications } from './notifications';
import { panelPlugin } from './panel/plugin';
import { RestAPI } from './restapi';
import { Texts } from './texts';

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
    const texts = new Texts(translator ?? nullTranslator);
    const notifications = new KernelNotifications({
      manager: Notification.manager,
      texts,
      showLog: (displayName, log) => void showLog(displayName, log, texts),
      showCaveats: (displayName, caveats) => void showCaveats(displayName, caveats, texts)
    });
    app.serviceManager.events.stream.connect((_, emission) => {
      notifications.handle(emission);
    });
    app.serviceManager.connectionFailure.connect(() => {
      notifications.forgetStarts();
    });
    settingRegistry?.load(plugin.id).then(
      settings => {
        const apply = () => {
          notifications.slowStart = settings.get('slowStart').composite as number;
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
    const missing = new MissingEnvironments({
      api: new RestAPI(serverSettings),
      kernelspecs,
      texts: new Texts(translator ?? nullTranslator),
      dialogs: dialogs ?? new SessionContextDialogs(translator ? { translator } : {})
    });
    tracker.widgetAdded.connect((_, panel) => {
      panel.context.ready
        .then(() =>
          missing.opened(
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
