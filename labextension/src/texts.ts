import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';

import { bytes, memory, percent } from './format';
import type { IKernelDead, IKernelStarting, IPullProgress } from './tokens';

/** JupyterLab cuts a notification's message after this many characters. */
export const LONGEST_MESSAGE = 140;

/** Leaves room for the longest of our sentences. */
const LONGEST_NAME = 40;

/** The sentences of the notifications, in the reader's language. */
export class Texts {
  /** The reader's language; undefined for that of the browser. */
  readonly locale: string | undefined;

  constructor(translator: ITranslator) {
    this._trans = translator.load('jupyter_tfcontainer');
    // JupyterLab 4.2 has no such property.
    const { languageCode } = translator as Partial<ITranslator>;
    this.locale = languageCode?.replace('_', '-');
  }

  /** What a kernel that starts slowly is busy with. */
  starting(event: IKernelStarting): string {
    const trans = this._trans;
    const name = cut(event.display_name, LONGEST_NAME);
    switch (event.step) {
      case 'engine':
        return trans.__('Starting %1: looking for the container engine', name);
      case 'preflight':
        return trans.__('Starting %1: checking what this machine offers', name);
      case 'pull':
        return cut(this._pulling(name, event.progress), LONGEST_MESSAGE);
      case 'prepare':
        return trans.__('Starting %1: preparing its image for Jupyter', name);
      case 'create':
        return trans.__('Starting %1: creating the container', name);
      case 'boot':
        return trans.__('Starting %1: starting the container', name);
      case 'launch':
        return trans.__('Starting %1: starting the kernel', name);
      default:
        return trans.__('Starting %1', name);
    }
  }

  /** That a slow start came to its end. */
  running(displayName: string): string {
    return this._trans.__('%1 is running', cut(displayName, LONGEST_NAME));
  }

  /** That there is something to be said of an environment, though it runs. */
  caveats(displayName: string, count: number): string {
    return this._trans._n(
      '%2 runs on this machine, with a caveat.',
      '%2 runs on this machine, with %1 caveats.',
      count,
      cut(displayName, LONGEST_NAME)
    );
  }

  /** The button that opens the caveats. */
  get showCaveats(): string {
    return this._trans.__('Show');
  }

  /** The title of the caveats. */
  caveatsTitle(displayName: string): string {
    return this._trans.__('%1 here', cut(displayName, LONGEST_NAME));
  }

  /** Why a kernel died. */
  dead(event: IKernelDead): string {
    const trans = this._trans;
    const name = cut(event.display_name, LONGEST_NAME);
    switch (event.reason) {
      case 'exited':
        return event.exit_code === undefined
          ? trans.__('%1: the kernel ended by itself.', name)
          : trans.__('%1: the kernel ended by itself, with exit code %2.', name, event.exit_code);
      case 'signal':
        return event.signal === undefined
          ? trans.__('%1: the kernel was ended by a signal.', name)
          : trans.__('%1: the kernel was ended by the signal %2.', name, event.signal);
      case 'out_of_memory':
        return event.memory_limit === undefined
          ? trans.__('%1: the kernel ran out of memory.', name)
          : trans.__(
              '%1: the kernel ran out of memory: its container has %2.',
              name,
              memory(event.memory_limit)
            );
      case 'container':
        return trans.__("%1: the kernel's container was ended.", name);
      default:
        return cut(event.message || trans.__('%1: the kernel died.', name), LONGEST_MESSAGE);
    }
  }

  /** The button that opens the log. */
  get showLog(): string {
    return this._trans.__('Show log');
  }

  /** The title of the log. */
  logTitle(displayName: string): string {
    return this._trans.__('Last lines of %1', cut(displayName, LONGEST_NAME));
  }

  /** The button that closes the log. */
  get close(): string {
    return this._trans.__('Close');
  }

  /** What an environment is called that is made from the catalog. */
  environment(tensorflow: string, device: 'cpu' | 'gpu'): string {
    return `TF ${tensorflow} ${device.toUpperCase()}`;
  }

  /** The title of the offer to make an environment. */
  missingTitle(environment: string): string {
    return this._trans.__('%1 is not here yet', environment);
  }

  /**
   * The offer to make an environment.
   *
   * @param notebook Its name.
   * @param missing The environment that it was written in.
   * @param made The one that is offered: the same, or another that runs here.
   * @param image What that is made from.
   * @param cannot Why the missing one cannot run here.
   */
  missing(
    notebook: string,
    missing: string,
    made: string,
    image: string,
    cannot: string | undefined
  ): string {
    const trans = this._trans;
    if (cannot === undefined) {
      return trans.__(
        '%1 was written in an environment that this JupyterLab does not have. It can be made from the image %2, which is pulled at the first start.',
        notebook,
        image
      );
    }
    const why = trans.__(
      '%1 was written in %2, which cannot run on this machine. %3',
      notebook,
      missing,
      cannot
    );
    return made === missing
      ? why
      : `${why} ${trans.__('%1 can be made instead, from the image %2, which is pulled at the first start.', made, image)}`;
  }

  /** The button that makes an environment. */
  create(environment: string): string {
    return this._trans.__('Create %1', environment);
  }

  /** The button that adds an environment. */
  add(environment: string): string {
    return this._trans.__('Add %1', environment);
  }

  /** That an environment cannot run here, and which can. */
  instead(environment: string, other: string): string {
    return this._trans.__(
      '%1 cannot run on this machine. %2 can.',
      cut(environment, LONGEST_NAME),
      cut(other, LONGEST_NAME)
    );
  }

  /** That an environment was made. */
  inLauncher(environment: string): string {
    return this._trans.__('%1 is in the launcher.', environment);
  }

  /** The button that makes a notebook. */
  get newNotebook(): string {
    return this._trans.__('New notebook');
  }

  /** The button that ends a start. */
  get cancel(): string {
    return this._trans.__('Cancel');
  }

  /** The title of the error when a start could not be ended. */
  get notCancelled(): string {
    return this._trans.__('It could not be cancelled');
  }

  /** The button that leads to the kernels that there are. */
  get otherKernel(): string {
    return this._trans.__('Other kernel…');
  }

  /** The title of the error when an environment could not be made. */
  get notCreated(): string {
    return this._trans.__('The environment could not be created');
  }

  private _pulling(name: string, progress?: IPullProgress): string {
    const trans = this._trans;
    if (!progress || progress.layers <= 0) {
      return trans.__('Starting %1: pulling its image', name);
    }
    const { current, total, layers, layers_done, sized } = progress;
    if (!sized || total <= 0) {
      // A share of the layers whose size is known would run backwards when the next layer's size comes.
      return trans.__(
        'Starting %1: pulling its image, %2 (%3 of %4 layers)',
        name,
        bytes(current, this.locale),
        layers_done,
        layers
      );
    }
    return trans.__(
      'Starting %1: pulling its image, %2: %3 of %4 (%5 of %6 layers)',
      name,
      percent(Math.min(current / total, 1), this.locale),
      bytes(current, this.locale),
      bytes(total, this.locale),
      layers_done,
      layers
    );
  }

  private readonly _trans: TranslationBundle;
}

/** Shorten a text that somebody else wrote. */
function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}
