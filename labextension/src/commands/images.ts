import { InputDialog } from '@jupyterlab/apputils';

import type { IOperation } from '../restapi';
import { add, addOnEnvironment, addOnImage, type ICommandOptions } from './actions';
import { attempt, confirm } from './asking';
import { CommandIDs } from './ids';

/** Add the commands on images, and on what goes on with them. */
export function addImageCommands(options: ICommandOptions): void {
  const { api, model, trans, commands } = options;
  const failure = trans.__('The image could not be pulled');
  addOnEnvironment(options, CommandIDs.pullImage, {
    label: trans.__('Pull the Image'),
    failure,
    isEnabled: one => !!model.ready && 'image' in one,
    work: async one => {
      if ('image' in one) {
        await api.pull(one.image);
      }
    }
  });
  addOnImage(options, CommandIDs.pullAgain, {
    label: trans.__('Pull Again'),
    failure,
    isEnabled: ({ references }) => references.length > 0,
    work: ({ references: [reference = ''] }) => api.pull(reference)
  });
  addOnImage(options, CommandIDs.addOfImage, {
    label: trans.__('Make an Environment…'),
    failure: trans.__('The environment could not be created'),
    isEnabled: ({ references }) => references.length > 0,
    work: ({ references: [reference = ''] }) =>
      commands.execute(CommandIDs.addEnvironment, { image: reference })
  });
  addOnImage(options, CommandIDs.removeImage, {
    label: trans.__('Remove…'),
    failure: trans.__('The image could not be removed'),
    isEnabled: ({ used_by }) => used_by.containers.length === 0,
    work: async ({ id, references, used_by }) => {
      const names = used_by.environments;
      const sure = await confirm(
        trans.__('Remove %1?', references[0] ?? id.slice(0, 19)),
        names.length > 0
          ? trans.__('It is pulled again at the next start of %1.', names.join(', '))
          : trans.__('Nothing here uses it.'),
        trans.__('Remove')
      );
      if (sure) {
        await api.removeImage(references[0] ?? id, names.length > 0);
        await model.refresh('images');
      }
    }
  });
  addOperations(options);
}

/** Add those on what goes on with images, and the one that pulls by name. */
function addOperations(options: ICommandOptions): void {
  const { api, model, trans, commands } = options;
  const failure = trans.__('The image could not be pulled');
  add<IOperation>(
    options,
    CommandIDs.cancelOperation,
    {
      label: trans.__('Cancel'),
      failure: trans.__('It could not be cancelled'),
      work: ({ id }) => api.cancelOperation(id)
    },
    'operation',
    ({ operation }) => model.operations.get(operation as string)
  );
  add<IOperation>(
    options,
    CommandIDs.forgetOperation,
    {
      label: trans.__('Close'),
      failure: '',
      work: ({ id }) => {
        model.forget(id);
      }
    },
    'operation',
    ({ operation }) => model.operations.get(operation as string)
  );
  commands.addCommand(CommandIDs.pull, {
    label: trans.__('Pull Image…'),
    isEnabled: () => !!model.ready,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      const { value } = await InputDialog.getText({
        title: trans.__('Pull Image'),
        label: trans.__('Its name, such as tensorflow/tensorflow:1.2.1-py3'),
        okLabel: trans.__('Pull')
      });
      if (value?.trim()) {
        await attempt(failure, () => api.pull(value.trim()));
      }
    }
  });
}
