import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { showCaveats } from './caveatsdialog';
import { showLog } from './logdialog';
import { KernelNotifications } from './notifications';
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

export default plugin;
