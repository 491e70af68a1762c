import { Clipboard, InputDialog, Notification } from '@jupyterlab/apputils';
import type { Widget } from '@lumino/widgets';

import { copyName } from '../documents';
import type { IContainer } from '../restapi';
import { addOnContainer, type ICommandOptions } from './actions';
import { confirm } from './asking';
import { CommandIDs } from './ids';
import { titleOf } from './kernels';

/** Milliseconds for which a notice is to be seen. */
const NOTICE_SHOWN = 8000;

/** Add the commands on containers. */
export function addContainerCommands(options: ICommandOptions): void {
  const { api, trans, commands, showLog, showOutput } = options;
  addOnContainer(options, CommandIDs.showLog, {
    label: trans.__('Show Log'),
    failure: trans.__('The log could not be read'),
    work: showLog
  });
  addOnContainer(options, CommandIDs.showOutput, {
    label: trans.__('Show Output'),
    failure: trans.__('The output could not be read'),
    isEnabled: ({ kernel, state }) => kernel !== null && state === 'running',
    work: showOutput
  });
  for (const root of [false, true]) {
    addOnContainer(options, root ? CommandIDs.openRootTerminal : CommandIDs.openTerminal, {
      label: root ? trans.__('Terminal as Root') : trans.__('Terminal'),
      failure: trans.__('The terminal could not be opened'),
      isEnabled: ({ state }) => state !== 'ended' && commands.hasCommand('terminal:open'),
      work: async container => {
        const name = await api.openTerminal(container.id, root);
        const widget = (await commands.execute('terminal:open', { name })) as Widget | undefined;
        widget?.disposed.connect(() => {
          terminalClosed(options, container);
        });
      }
    });
  }
  addEnds(options);
}

/** Add those that save a container, name it and stop it. */
function addEnds(options: ICommandOptions): void {
  const { api, model, trans } = options;
  addOnContainer(options, CommandIDs.saveAsImage, {
    label: trans.__('Save as Image…'),
    failure: trans.__('The container could not be saved'),
    isEnabled: ({ state }) => state !== 'ended',
    work: async ({ id, display_name }) => {
      const { value } = await InputDialog.getText({
        title: trans.__('Save What Is in %1', display_name),
        label: trans.__('Name in the launcher of the environment that is made of it'),
        text: trans.__('%1 (saved)', display_name),
        okLabel: trans.__('Save')
      });
      if (value) {
        const taken = new Set(model.environments?.map(each => each.name));
        await api.snapshot(id, copyName(value, taken), value);
      }
    }
  });
  addOnContainer(options, CommandIDs.copyId, {
    label: trans.__('Copy the Container’s ID'),
    failure: trans.__('It could not be copied'),
    work: ({ id }) => {
      Clipboard.copyToSystem(id);
    }
  });
  addOnContainer(options, CommandIDs.stop, {
    label: trans.__('Stop…'),
    failure: trans.__('The container could not be stopped'),
    work: async container => {
      const { id, display_name, kernel, state } = container;
      const title = titleOf(options, container);
      const sure = await confirm(
        trans.__('Stop %1?', display_name),
        title
          ? trans.__('The kernel of %1 ends, and its container is removed.', title)
          : kernel
            ? trans.__('Its kernel ends, and it is removed.')
            : state === 'elsewhere'
              ? trans.__('Another program started it. It is removed, with what runs in it.')
              : trans.__('It is removed. No kernel is in it.'),
        trans.__('Stop')
      );
      if (sure) {
        await model.during(id, trans.__('Stopping…'), () => api.removeContainer(id));
      }
    }
  });
}

/** Say why a terminal closed, if its person did not close it. */
function terminalClosed(options: ICommandOptions, { id, display_name }: IContainer): void {
  const { model, trans } = options;
  model.refresh('containers').then(
    () => {
      const { containers } = model;
      if (!containers?.some(each => each.id === id && each.state !== 'ended')) {
        Notification.info(
          containers
            ? trans.__('The terminal of %1 was closed: its container is gone.', display_name)
            : trans.__('The terminal of %1 was closed: no engine answers.', display_name),
          { autoClose: NOTICE_SHOWN }
        );
      }
    },
    () => undefined
  );
}
