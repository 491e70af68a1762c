import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { ServiceManager } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { AnyEnvironment, IContainer, IEngineImage, IEnvironment, RestAPI } from '../restapi';
import type { PanelModel } from '../model/panelmodel';
import { attempt } from './asking';

export interface ICommandOptions {
  commands: CommandRegistry;
  model: PanelModel;
  api: RestAPI;
  services: ServiceManager.IManager;
  trans: TranslationBundle;
  browser: IDefaultFileBrowser | null;
  edit: (environment: IEnvironment) => Promise<void>;
  useInstead: (environment: string) => Promise<void>;
  showLog: (container: IContainer) => Promise<void>;
  showOutput: (container: IContainer) => Promise<void>;
}

/** A command on one environment or container. */
export interface IAction<T> {
  label: string;
  /** The title of the error if it fails. */
  failure: string;
  work: (on: T) => unknown;
  isEnabled?: (on: T) => boolean;
}

export function addOnEnvironment(
  options: ICommandOptions,
  id: string,
  action: IAction<AnyEnvironment>
): void {
  add(options, id, action, 'environment', ({ environment }) =>
    options.model.environments?.find(each => each.name === environment)
  );
}

export function addOnContainer(
  options: ICommandOptions,
  id: string,
  action: IAction<IContainer>
): void {
  add(options, id, action, 'container', ({ container }) =>
    options.model.containers?.find(each => each.id === container)
  );
}

export function addOnImage(
  options: ICommandOptions,
  id: string,
  action: IAction<IEngineImage>
): void {
  add(options, id, action, 'image', ({ image }) =>
    options.model.images?.find(each => each.id === image)
  );
}

export function add<T>(
  options: ICommandOptions,
  id: string,
  action: IAction<T>,
  argument: string,
  find: (args: ReadonlyPartialJSONObject) => T | undefined
): void {
  options.commands.addCommand(id, {
    label: action.label,
    describedBy: {
      args: {
        type: 'object',
        properties: { [argument]: { type: 'string' } },
        required: [argument]
      }
    },
    isEnabled: args => {
      const on = find(args);
      return on !== undefined && (action.isEnabled?.(on) ?? true);
    },
    execute: async args => {
      const on = find(args);
      if (on !== undefined) {
        await attempt(action.failure, () => action.work(on));
      }
    }
  });
}
