import type { ISessionContext, ISessionContextDialogs } from '@jupyterlab/apputils';
import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { KernelSpec } from '@jupyterlab/services';

import type { Device, ICatalog, IImage, RestAPI } from './restapi';
import type { Texts } from './texts';

/** As our environments are named: `tf-1.2.1-gpu`, `TF 1.2.1 GPU`. */
const ENVIRONMENT = /^tf[- ](\d+\.\d+\.\d+\S*?)[- ](cpu|gpu)$/i;

/** What a notebook says of its kernel. */
export interface IKernelspec {
  name?: string;
  display_name?: string;
}

/** What a notebook asks for. */
export interface IWanted {
  tensorflow: string;
  device: Device;
}

/**
 * Which release of TensorFlow a notebook asks for by its kernelspec.
 *
 * @returns The release, or null if the kernel is none of ours.
 */
export function wanted(name: string, displayName: string): IWanted | null {
  const [, tensorflow, device] = ENVIRONMENT.exec(name) ?? ENVIRONMENT.exec(displayName) ?? [];
  return tensorflow && device ? { tensorflow, device: device.toLowerCase() as Device } : null;
}

/** Offers to make the environment that a notebook was written in, where it is not there. */
export class MissingEnvironments {
  constructor(options: MissingEnvironments.IOptions) {
    this._api = options.api;
    this._kernelspecs = options.kernelspecs;
    this._texts = options.texts;
    this._dialogs = options.dialogs;
  }

  /**
   * Look at a notebook that was opened.
   *
   * @param title The notebook's name.
   * @param kernel Its kernelspec, as it says.
   * @param session Where its kernel is to run.
   */
  async opened(title: string, kernel: IKernelspec, session: ISessionContext): Promise<void> {
    const name = kernel.name ?? '';
    const asked = wanted(name, kernel.display_name ?? '');
    if (!asked) {
      return;
    }
    await this._kernelspecs.ready;
    if (this._kernelspecs.specs?.kernelspecs[name]) {
      return;
    }
    const [first, ...others] = offers(asked, await this._api.release(asked.tensorflow));
    if (!first || session.session?.kernel) {
      return;
    }
    rejectDialogs();
    const chosen = await this._ask(title, asked, [first, ...others]);
    if (chosen) {
      await this._create(asked.tensorflow, chosen, session);
    } else if (Dialog.tracker.size === 0) {
      await this._dialogs.selectKernel(session);
    }
  }

  private async _ask(
    title: string,
    asked: IWanted,
    choices: [IOffer, ...IOffer[]]
  ): Promise<Device | undefined> {
    const texts = this._texts;
    const labels = choices.map(({ device }) =>
      texts.create(texts.environment(asked.tensorflow, device))
    );
    const { image, cannot } = choices[0];
    const result = await showDialog({
      title: texts.missingTitle(texts.environment(asked.tensorflow, asked.device)),
      body: texts.missing(title, image.reference, cannot),
      buttons: [
        Dialog.cancelButton({ label: texts.otherKernel }),
        ...labels.map(label => Dialog.createButton({ label, accept: true }))
      ],
      // The last is the one that runs.
      defaultButton: choices.length
    });
    return choices[labels.indexOf(result.button.label)]?.device;
  }

  private async _create(
    tensorflow: string,
    device: Device,
    session: ISessionContext
  ): Promise<void> {
    try {
      const { name } = await this._api.createEnvironment(tensorflow, device);
      await this._kernelspecs.refreshSpecs();
      rejectDialogs();
      await session.changeKernel({ name });
    } catch (error) {
      await showErrorMessage(this._texts.notCreated, error as Error);
    }
  }

  private readonly _api: MissingEnvironments.IOptions['api'];
  private readonly _kernelspecs: KernelSpec.IManager;
  private readonly _texts: Texts;
  private readonly _dialogs: MissingEnvironments.IOptions['dialogs'];
}

export namespace MissingEnvironments {
  export interface IOptions {
    api: Pick<RestAPI, 'release' | 'createEnvironment'>;
    kernelspecs: KernelSpec.IManager;
    texts: Texts;
    /** JupyterLab's own questions. */
    dialogs: Pick<ISessionContextDialogs, 'selectKernel'>;
  }
}

interface IOffer {
  device: Device;
  image: IImage;
  /** Why the image cannot run here. */
  cannot: string | undefined;
}

/**
 * Answer JupyterLab's own question, which other kernel to take: it comes before ours or after, as dialogs come one after
 * the other, and the answer to ours spares it.
 */
function rejectDialogs(): void {
  for (const dialog of Dialog.tracker.filter(each => !each.isDisposed)) {
    dialog.reject();
  }
}

/** What can be made instead of what is missing: that itself and, if it cannot run here, the same for the processor. */
function offers(asked: IWanted, catalog: ICatalog): IOffer[] {
  const offer = (device: Device): IOffer[] => {
    const image = catalog.images.find(each => each.reference === catalog.best[device]);
    const cannot =
      image?.verdict.word === 'cannot' ? image.verdict.reasons[0]?.sentence : undefined;
    return image ? [{ device, image, cannot }] : [];
  };
  const found = offer(asked.device);
  if (asked.device === 'gpu' && found.some(each => each.cannot)) {
    found.push(...offer('cpu').filter(each => !each.cannot));
  }
  return found;
}
