import type { ICommandOptions } from './actions';
import { addContainerCommands } from './containers';
import { addEnvironmentCommands } from './environments';
import { addImageCommands } from './images';
import { addKernelCommands } from './kernels';

/** Add the commands on environments, kernels, containers and images. */
export function addPanelCommands(options: ICommandOptions): void {
  addEnvironmentCommands(options);
  addKernelCommands(options);
  addContainerCommands(options);
  addImageCommands(options);
}
