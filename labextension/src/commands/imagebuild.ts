import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { ImageDialogs } from '../imagebuild/dialog';
import type { IEngineImage, RestAPI } from '../restapi';
import { attempt } from './asking';
import { ImageCommandIDs } from './ids';
import type { PanelModel } from '../model/panelmodel';

export interface IImageCommandOptions {
  commands: CommandRegistry;
  model: PanelModel;
  api: RestAPI;
  trans: TranslationBundle;
  dialogs: () => Promise<ImageDialogs>;
  showLog: (operation: string) => Promise<void>;
}

/** Whether an image has no ipykernel, and there is none yet that was made of it and has. */
export function lacksKernel(image: IEngineImage, images: readonly IEngineImage[]): boolean {
  return (
    image.inside !== null &&
    !image.inside.ipykernel &&
    !images.some(
      ({ origin, parent }) =>
        origin === 'prepared' && parent !== null && image.references.includes(parent)
    )
  );
}

/** Add the commands that make images, and read and write them. */
export function addImageCommands(options: IImageCommandOptions): void {
  const { commands, model, api, trans, dialogs, showLog } = options;
  const find = ({ image }: ReadonlyPartialJSONObject) =>
    model.images?.find(each => each.id === image);
  const add = (id: string, label: string, failure: string, work: () => Promise<unknown>) => {
    commands.addCommand(id, {
      label,
      isEnabled: () => !!model.ready,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => attempt(failure, work)
    });
  };
  add(
    ImageCommandIDs.build,
    trans.__('Build Image…'),
    trans.__('The image could not be built'),
    async () => (await dialogs()).build()
  );
  add(
    ImageCommandIDs.load,
    trans.__('Load Images from an Archive…'),
    trans.__('The archive could not be loaded'),
    async () => (await dialogs()).load()
  );
  const addOn = (
    id: string,
    label: string,
    failure: string,
    work: (image: IEngineImage) => Promise<unknown>,
    isEnabled: (image: IEngineImage) => boolean = () => true
  ) => {
    commands.addCommand(id, {
      label,
      describedBy: {
        args: { type: 'object', properties: { image: { type: 'string' } }, required: ['image'] }
      },
      isEnabled: args => {
        const image = find(args);
        return !!image && image.references.length > 0 && isEnabled(image);
      },
      execute: async args => {
        const image = find(args);
        if (image) {
          await attempt(failure, () => work(image));
        }
      }
    });
  };
  addOn(
    ImageCommandIDs.buildOn,
    trans.__('Build on It…'),
    trans.__('The image could not be built'),
    async ({ references: [reference] }) => (await dialogs()).build(reference)
  );
  addOn(
    ImageCommandIDs.prepare,
    trans.__('Prepare for Jupyter'),
    trans.__('The image could not be prepared'),
    ({ references: [reference = ''] }) => api.prepare(reference),
    // Where nobody has looked into it yet, the server does.
    ({ inside }) => !inside?.ipykernel
  );
  addOn(
    ImageCommandIDs.save,
    trans.__('Save as Archive…'),
    trans.__('The archive could not be written'),
    async image => (await dialogs()).save(image)
  );
  commands.addCommand(ImageCommandIDs.showLog, {
    label: trans.__('Show Log'),
    describedBy: {
      args: {
        type: 'object',
        properties: { operation: { type: 'string' } },
        required: ['operation']
      }
    },
    execute: ({ operation }) =>
      attempt(trans.__('The log could not be read'), () => showLog(operation as string))
  });
}
