import { KernelAPI } from '@jupyterlab/services';

import type { IContainer } from '../restapi';
import { addOnContainer, type ICommandOptions } from './actions';
import { confirm } from './asking';
import { CommandIDs } from './ids';

/** Add the commands on the kernels in containers. */
export function addKernelCommands(options: ICommandOptions): void {
  const { api, model, trans, commands, services } = options;
  const ours = ({ kernel, state }: IContainer) => kernel !== null && state === 'running';
  addOnContainer(options, CommandIDs.interrupt, {
    label: trans.__('Interrupt Kernel'),
    failure: trans.__('The kernel could not be interrupted'),
    isEnabled: ours,
    work: ({ kernel }) => KernelAPI.interruptKernel(kernel?.id ?? '', services.serverSettings)
  });
  addOnContainer(options, CommandIDs.restart, {
    label: trans.__('Restart Kernel…'),
    failure: trans.__('The kernel could not be restarted'),
    isEnabled: ours,
    work: async container => {
      const { id, kernel, display_name } = container;
      const sure = await confirm(
        trans.__('Restart the kernel of %1?', titleOf(options, container) || display_name),
        trans.__('All variables are lost. What was installed in the container stays.'),
        trans.__('Restart')
      );
      if (sure) {
        await model.during(id, trans.__('Restarting…'), () =>
          KernelAPI.restartKernel(kernel?.id ?? '', services.serverSettings)
        );
      }
    }
  });
  addOnContainer(options, CommandIDs.restartFresh, {
    label: trans.__('Restart in a Fresh Container…'),
    failure: trans.__('The kernel could not be restarted'),
    isEnabled: ours,
    work: async container => {
      const { id, display_name } = container;
      const sure = await confirm(
        trans.__('Restart %1 in a fresh container?', titleOf(options, container) || display_name),
        trans.__(
          'All variables are lost, and so is what was changed in the container outside of the workspace and the home.'
        ),
        trans.__('Restart')
      );
      if (sure) {
        await model.during(id, trans.__('Restarting…'), () => api.restartFresh(id));
      }
    }
  });
  addOnContainer(options, CommandIDs.openNotebook, {
    label: trans.__('Go to the Notebook'),
    failure: trans.__('The notebook could not be opened'),
    isEnabled: container => !!model.session(container),
    work: async container => {
      const session = model.session(container);
      if (session?.type === 'console') {
        await commands.execute('console:open', { path: session.path, activate: true });
      } else if (session) {
        await commands.execute('docmanager:open', { path: session.path });
      }
    }
  });
}

/** The name of the notebook or console of a container; empty without one. */
export function titleOf(options: ICommandOptions, container: IContainer): string {
  const session = options.model.session(container);
  return session?.name ?? session?.path ?? '';
}
