import type { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';

import { bytes } from '../format';
import type { RestAPI } from '../restapi';
import { attempt, confirm } from './asking';
import type { DiskModel } from '../model/diskmodel';
import { DiskCommandIDs } from './ids';
import type { PanelModel } from '../model/panelmodel';

export interface IDiskCommandOptions {
  commands: CommandRegistry;
  disk: DiskModel;
  model: PanelModel;
  api: RestAPI;
  trans: TranslationBundle;
}

/** Add the commands that tell what takes room on the disk, and give it back. */
export function addDiskCommands(options: IDiskCommandOptions): void {
  const { commands, disk, model, api, trans } = options;
  commands.addCommand(DiskCommandIDs.measure, {
    label: trans.__('Measure What Takes Room on the Disk'),
    caption: trans.__('Measure'),
    icon: refreshIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => attempt(trans.__('The disk could not be looked at'), () => disk.measure())
  });
  commands.addCommand(DiskCommandIDs.resetHome, {
    label: trans.__('Reset Home…'),
    describedBy: {
      args: {
        type: 'object',
        properties: { environment: { type: 'string' } },
        required: ['environment']
      }
    },
    execute: async ({ environment }) => {
      const name = environment as string;
      const title = model.environments?.find(each => each.name === name)?.display_name ?? name;
      const sure = await confirm(
        trans.__('Reset the home of %1?', title),
        trans.__(
          'All that is in it is lost: what you have installed with pip, the history, the compute cache. The environment, its image and the workspace stay. Its kernels must be shut down.'
        ),
        trans.__('Reset')
      );
      if (sure) {
        await attempt(trans.__('The home could not be reset'), () => api.resetHome(name));
        await attempt(trans.__('The disk could not be looked at'), () => disk.outdated());
      }
    }
  });
  commands.addCommand(DiskCommandIDs.clearFolders, {
    label: trans.__('Remove What Was Left Behind…'),
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      const sure = await confirm(
        trans.__('Remove what was left behind?'),
        trans.__(
          'Containers and servers that ended without a chance to clean up have left %1 in folders of ours. Nothing uses them.',
          bytes(disk.measured?.folders.left_behind ?? 0)
        ),
        trans.__('Remove')
      );
      if (sure) {
        await attempt(trans.__('Not all of it could be removed'), () => api.clearFolders());
        await attempt(trans.__('The disk could not be looked at'), () => disk.outdated());
      }
    }
  });
}
