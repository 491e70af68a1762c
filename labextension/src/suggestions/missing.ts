import type { ISessionContext, ISessionContextDialogs } from '@jupyterlab/apputils';
import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { KernelSpec } from '@jupyterlab/services';

import type { Device, ICatalog, IImage } from '../restapi';
import type { Texts } from '../texts';

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

/** What is used of the catalog. */
export interface IRelease extends Pick<ICatalog, 'best'> {
  images: Pick<IImage, 'reference' | 'verdict'>[];
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
    const offer = choose(asked, await this._api.release(asked.tensorflow));
    if (!offer || session.session?.kernel) {
      return;
    }
    rejectQuestions(session);
    if (await this._ask(title, asked, offer)) {
      await this._create(asked.tensorflow, offer.device, session);
    } else if (questions(session).length === 0) {
      await this._dialogs.selectKernel(session);
    }
  }

  private async _ask(title: string, asked: IWanted, offer: IOffer): Promise<boolean> {
    const texts = this._texts;
    const missing = texts.environment(asked.tensorflow, asked.device);
    const made = texts.environment(asked.tensorflow, offer.device);
    const result = await showDialog({
      title: texts.missingTitle(missing),
      body: texts.missing(title, missing, made, offer.reference, offer.cannot),
      buttons: [
        Dialog.cancelButton({ label: texts.otherKernel }),
        Dialog.okButton({ label: texts.create(made) })
      ]
    });
    return result.button.accept;
  }

  private async _create(
    tensorflow: string,
    device: Device,
    session: ISessionContext
  ): Promise<void> {
    try {
      const { name } = await this._api.createEnvironment(tensorflow, device);
      await this._kernelspecs.refreshSpecs();
      rejectQuestions(session);
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
    api: {
      release: (tensorflow: string) => Promise<IRelease>;
      createEnvironment: (tensorflow: string, device: Device) => Promise<{ name: string }>;
    };
    kernelspecs: KernelSpec.IManager;
    texts: Texts;
    /** JupyterLab's own questions. */
    dialogs: Pick<ISessionContextDialogs, 'selectKernel'>;
  }
}

/** What can be made. */
export interface IOffer {
  device: Device;
  /** Of its image. */
  reference: string;
  /** Why what the notebook asks for cannot run here. */
  cannot: string | undefined;
}

/**
 * Find JupyterLab's own dialogs that ask which kernel a notebook is to have. Other dialogs, such as what to do with
 * unsaved changes, are not ours to answer.
 */
function questions({ name }: ISessionContext): Dialog<unknown>[] {
  const found: Dialog<unknown>[] = [];
  Dialog.tracker.forEach(dialog => {
    const body = dialog.node.querySelector('.jp-Dialog-body');
    // `Select kernel for: "old.ipynb"`, in the reader's language, above a list of kernels.
    const label = body?.querySelector(':scope > label')?.textContent ?? '';
    if (!dialog.isDisposed && label.endsWith(`"${name}"`) && body?.querySelector('select')) {
      found.push(dialog);
    }
  });
  return found;
}

/**
 * Answer JupyterLab's own question, which other kernel to take: it comes before ours or after, as dialogs come one after
 * the other, and the answer to ours spares it.
 */
function rejectQuestions(session: ISessionContext): void {
  for (const dialog of questions(session)) {
    dialog.reject();
  }
}

/** What to offer: what the notebook asks for or, if that cannot run here, the same for the processor. */
export function choose(asked: IWanted, catalog: IRelease): IOffer | null {
  const find = (device: Device) =>
    catalog.images.find(each => each.reference === catalog.best[device]);
  const image = find(asked.device);
  if (!image) {
    return null;
  }
  const { reference, verdict } = image;
  if (verdict.word !== 'cannot') {
    return { device: asked.device, reference, cannot: undefined };
  }
  const cannot = verdict.reasons[0]?.sentence ?? '';
  const processor = find('cpu');
  return processor && processor.verdict.word !== 'cannot'
    ? { device: 'cpu', reference: processor.reference, cannot }
    : { device: asked.device, reference, cannot };
}
