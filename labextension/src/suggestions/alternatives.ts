import { Notification, showErrorMessage } from '@jupyterlab/apputils';
import type { KernelSpec } from '@jupyterlab/services';

import { choose } from './missing';
import type { AnyEnvironment, IEnvironment, RestAPI } from '../restapi';
import type { Texts } from '../texts';

/** Milliseconds for which it is to be seen that an environment was made. */
const SHOWN = 6000;

/** What can be used where an environment cannot run: the same release for the processor. */
export interface IInstead {
  tensorflow: string;
  /** One that is there already. */
  existing: IEnvironment | undefined;
}

/**
 * What can be used instead of an environment.
 *
 * @returns Null where it may run, and where nothing better is known.
 */
export function insteadOf(
  environment: IEnvironment,
  environments: readonly AnyEnvironment[]
): IInstead | null {
  const { verdict, gpus, catalog } = environment;
  // An image for cards may lack a card's driver, though its containers get no card.
  const wantsCard = gpus !== 'none' || catalog?.device === 'gpu';
  if (verdict?.word !== 'cannot' || !wantsCard || !catalog?.tensorflow) {
    return null;
  }
  const { tensorflow } = catalog;
  const existing = environments.find(
    (each): each is IEnvironment =>
      'image' in each &&
      each.gpus === 'none' &&
      each.catalog?.device === 'cpu' &&
      each.catalog.tensorflow === tensorflow &&
      each.verdict?.word !== 'cannot'
  );
  return { tensorflow, existing };
}

export interface IAlternativesOptions {
  api: Pick<RestAPI, 'environments' | 'release' | 'createEnvironment'>;
  kernelspecs: Pick<KernelSpec.IManager, 'refreshSpecs'>;
  texts: Texts;
  /** Make a notebook with an environment. */
  newNotebook: (environment: string) => unknown;
}

/** Leads from an environment that cannot run on this machine to one that can. */
export class Alternatives {
  constructor(private readonly _options: IAlternativesOptions) {}

  /**
   * A kernel could not be started: if that is because of the machine, offer what can run on it.
   *
   * @param name The name of its environment.
   */
  async refused(name: string): Promise<void> {
    const { api, texts } = this._options;
    const environments = await api.environments();
    const found = this._find(name, environments);
    if (!found || (!found.instead.existing && !(await this._canRun(found.instead.tensorflow)))) {
      return;
    }
    const { environment, instead } = found;
    const other = instead.existing?.display_name ?? texts.environment(instead.tensorflow, 'cpu');
    Notification.warning(texts.instead(environment.display_name, other), {
      autoClose: false,
      actions: [
        {
          label: instead.existing ? texts.newNotebook : texts.add(other),
          callback: () => void this.use(name)
        }
      ]
    });
  }

  /**
   * Make what can run instead of an environment; if it is there, a notebook with it.
   *
   * @param name The environment's name.
   */
  async use(name: string): Promise<void> {
    const { api, kernelspecs, texts, newNotebook } = this._options;
    try {
      const instead = this._find(name, await api.environments())?.instead;
      if (!instead) {
        return;
      }
      if (instead.existing) {
        await newNotebook(instead.existing.name);
        return;
      }
      const made = await api.createEnvironment(instead.tensorflow, 'cpu');
      await kernelspecs.refreshSpecs();
      Notification.success(texts.inLauncher(made.display_name), {
        autoClose: SHOWN,
        actions: [{ label: texts.newNotebook, callback: () => void newNotebook(made.name) }]
      });
    } catch (error) {
      await showErrorMessage(texts.notCreated, error as Error);
    }
  }

  private _find(
    name: string,
    environments: readonly AnyEnvironment[]
  ): { environment: IEnvironment; instead: IInstead } | null {
    const environment = environments.find(each => each.name === name);
    if (!environment || !('image' in environment)) {
      return null;
    }
    const instead = insteadOf(environment, environments);
    return instead && { environment, instead };
  }

  private async _canRun(tensorflow: string): Promise<boolean> {
    const catalog = await this._options.api.release(tensorflow);
    const offer = choose({ tensorflow, device: 'cpu' }, catalog);
    return offer !== null && offer.cannot === undefined;
  }
}
