import { Clipboard, InputDialog, Notification } from '@jupyterlab/apputils';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { KernelAPI, type ServiceManager } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Widget } from '@lumino/widgets';

import type {
  AnyEnvironment,
  IContainer,
  IEngineImage,
  IEnvironment,
  IOperation,
  RestAPI
} from '../restapi';
import { attempt, confirm } from './asking';
import { copyName, download } from '../documents';
import { CommandIDs } from './ids';
import type { PanelModel } from '../model/panelmodel';

/** Milliseconds for which a notice is to be seen. */
const NOTICE_SHOWN = 8000;

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
interface IAction<T> {
  label: string;
  /** The title of the error if it fails. */
  failure: string;
  work: (on: T) => unknown;
  isEnabled?: (on: T) => boolean;
}

/** Add the commands on environments and containers. */
export class PanelCommands {
  constructor(private readonly _options: ICommandOptions) {
    this._addEnvironments();
    this._addKernels();
    this._addContainers();
    this._addImages();
  }

  private _addEnvironments(): void {
    const { api, model, trans, commands, browser, services } = this._options;
    const startable = (one: AnyEnvironment) => !!model.ready && 'image' in one;
    const cwd = () => browser?.model.path ?? '';
    this._environment(CommandIDs.newNotebook, {
      label: trans.__('New Notebook'),
      failure: trans.__('The notebook could not be made'),
      isEnabled: startable,
      work: ({ name }) =>
        commands.execute('notebook:create-new', { kernelName: name, cwd: cwd(), activate: true })
    });
    this._environment(CommandIDs.newConsole, {
      label: trans.__('New Console'),
      failure: trans.__('The console could not be opened'),
      isEnabled: one => startable(one) && commands.hasCommand('console:create'),
      work: ({ name }) =>
        commands.execute('console:create', {
          cwd: cwd(),
          activate: true,
          kernelPreference: { name }
        })
    });
    this._environment(CommandIDs.startAhead, {
      label: trans.__('Start Ahead'),
      failure: trans.__('The container could not be started'),
      isEnabled: startable,
      work: ({ name }) => model.during(name, trans.__('Starting…'), () => api.startAhead(name))
    });
    this._environment(CommandIDs.startWithoutPackages, {
      label: trans.__('Start without My Packages'),
      failure: trans.__('The container could not be started'),
      isEnabled: startable,
      work: async ({ name }) => {
        await model.during(name, trans.__('Starting…'), () => api.startAhead(name, 'temporary'));
        // Its kernel takes the container that waits.
        await commands.execute(CommandIDs.newNotebook, { environment: name });
      }
    });
    this._environment(CommandIDs.exportEnvironment, {
      label: trans.__('Export'),
      failure: trans.__('The environment could not be exported'),
      work: async ({ name }) => {
        download(`${name}.json`, JSON.stringify(await api.exportEnvironment(name), null, 2));
      }
    });
    const changed = async () => {
      await Promise.all([model.refresh('environments'), services.kernelspecs.refreshSpecs()]);
    };
    this._environment(CommandIDs.copyEnvironment, {
      label: trans.__('Copy…'),
      failure: trans.__('The environment could not be copied'),
      work: async ({ name, display_name }) => {
        const taken = new Set(model.environments?.map(each => each.name));
        const { value } = await InputDialog.getText({
          title: trans.__('Copy %1', display_name),
          label: trans.__('Name in the launcher'),
          text: trans.__('%1 (copy)', display_name),
          okLabel: trans.__('Copy')
        });
        if (value) {
          await api.copyEnvironment(name, copyName(value, taken), value);
          await changed();
        }
      }
    });
    this._environment(CommandIDs.editEnvironment, {
      label: trans.__('Edit…'),
      failure: trans.__('The environment could not be changed'),
      isEnabled: one => one.own && 'image' in one,
      work: async one => {
        if ('image' in one) {
          await this._options.edit(one);
        }
      }
    });
    const hide = (hidden: boolean) => async (one: AnyEnvironment) => {
      await api.changeEnvironment(one.name, { hidden });
      await changed();
    };
    this._environment(CommandIDs.hideEnvironment, {
      label: trans.__('Hide from the Launcher'),
      failure: trans.__('The environment could not be hidden'),
      work: hide(true)
    });
    this._environment(CommandIDs.showEnvironment, {
      label: trans.__('Show in the Launcher'),
      failure: trans.__('The environment could not be shown'),
      work: hide(false)
    });
    this._environment(CommandIDs.useInstead, {
      label: trans.__('Use What Runs Here Instead'),
      failure: trans.__('The environment could not be created'),
      work: async ({ name }) => {
        await this._options.useInstead(name);
        await model.refresh('environments');
      }
    });
    this._environment(CommandIDs.deleteEnvironment, {
      label: trans.__('Delete…'),
      failure: trans.__('The environment could not be deleted'),
      work: async ({ name, display_name }) => {
        const sure = await confirm(
          trans.__('Delete %1?', display_name),
          trans.__(
            'Its card leaves the launcher. What is installed in its home stays on the disk, and so does its image.'
          ),
          trans.__('Delete')
        );
        if (sure) {
          await api.deleteEnvironment(name);
          await changed();
        }
      }
    });
  }

  private _addKernels(): void {
    const { api, model, trans, commands, services } = this._options;
    const ours = ({ kernel, state }: IContainer) => kernel !== null && state === 'running';
    this._container(CommandIDs.interrupt, {
      label: trans.__('Interrupt Kernel'),
      failure: trans.__('The kernel could not be interrupted'),
      isEnabled: ours,
      work: ({ kernel }) => KernelAPI.interruptKernel(kernel?.id ?? '', services.serverSettings)
    });
    this._container(CommandIDs.restart, {
      label: trans.__('Restart Kernel…'),
      failure: trans.__('The kernel could not be restarted'),
      isEnabled: ours,
      work: async container => {
        const { id, kernel, display_name } = container;
        const sure = await confirm(
          trans.__('Restart the kernel of %1?', this._title(container) || display_name),
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
    this._container(CommandIDs.restartFresh, {
      label: trans.__('Restart in a Fresh Container…'),
      failure: trans.__('The kernel could not be restarted'),
      isEnabled: ours,
      work: async container => {
        const { id, display_name } = container;
        const sure = await confirm(
          trans.__('Restart %1 in a fresh container?', this._title(container) || display_name),
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
    this._container(CommandIDs.openNotebook, {
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

  private _addContainers(): void {
    const { api, model, trans, commands, showLog, showOutput } = this._options;
    this._container(CommandIDs.showLog, {
      label: trans.__('Show Log'),
      failure: trans.__('The log could not be read'),
      work: showLog
    });
    this._container(CommandIDs.showOutput, {
      label: trans.__('Show Output'),
      failure: trans.__('The output could not be read'),
      isEnabled: ({ kernel, state }) => kernel !== null && state === 'running',
      work: showOutput
    });
    for (const root of [false, true]) {
      this._container(root ? CommandIDs.openRootTerminal : CommandIDs.openTerminal, {
        label: root ? trans.__('Terminal as Root') : trans.__('Terminal'),
        failure: trans.__('The terminal could not be opened'),
        isEnabled: ({ state }) => state !== 'ended' && commands.hasCommand('terminal:open'),
        work: async container => {
          const name = await api.openTerminal(container.id, root);
          const widget = (await commands.execute('terminal:open', { name })) as Widget | undefined;
          widget?.disposed.connect(() => {
            this._terminalClosed(container);
          });
        }
      });
    }
    this._container(CommandIDs.saveAsImage, {
      label: trans.__('Save as Image…'),
      failure: trans.__('The container could not be saved'),
      isEnabled: ({ state }) => state !== 'ended',
      work: async ({ id, display_name }) => {
        const { value } = await InputDialog.getText({
          title: trans.__('Save What Is in %1', display_name),
          label: trans.__('Name in the launcher of the environment that is made of it'),
          text: trans.__('%1 (saved)', display_name),
          okLabel: trans.__('Save')
        });
        if (value) {
          const taken = new Set(model.environments?.map(each => each.name));
          await api.snapshot(id, copyName(value, taken), value);
        }
      }
    });
    this._container(CommandIDs.copyId, {
      label: trans.__('Copy the Container’s ID'),
      failure: trans.__('It could not be copied'),
      work: ({ id }) => {
        Clipboard.copyToSystem(id);
      }
    });
    this._container(CommandIDs.stop, {
      label: trans.__('Stop…'),
      failure: trans.__('The container could not be stopped'),
      work: async container => {
        const { id, display_name, kernel, state } = container;
        const title = this._title(container);
        const sure = await confirm(
          trans.__('Stop %1?', display_name),
          title
            ? trans.__('The kernel of %1 ends, and its container is removed.', title)
            : kernel
              ? trans.__('Its kernel ends, and it is removed.')
              : state === 'elsewhere'
                ? trans.__('Another program started it. It is removed, with what runs in it.')
                : trans.__('It is removed. No kernel is in it.'),
          trans.__('Stop')
        );
        if (sure) {
          await model.during(id, trans.__('Stopping…'), () => api.removeContainer(id));
        }
      }
    });
  }

  private _addImages(): void {
    const { api, model, trans, commands } = this._options;
    const failure = trans.__('The image could not be pulled');
    this._environment(CommandIDs.pullImage, {
      label: trans.__('Pull the Image'),
      failure,
      isEnabled: one => !!model.ready && 'image' in one,
      work: async one => {
        if ('image' in one) {
          await api.pull(one.image);
        }
      }
    });
    this._image(CommandIDs.pullAgain, {
      label: trans.__('Pull Again'),
      failure,
      isEnabled: ({ references }) => references.length > 0,
      work: ({ references: [reference = ''] }) => api.pull(reference)
    });
    this._image(CommandIDs.addOfImage, {
      label: trans.__('Make an Environment…'),
      failure: trans.__('The environment could not be created'),
      isEnabled: ({ references }) => references.length > 0,
      work: ({ references: [reference = ''] }) =>
        commands.execute(CommandIDs.addEnvironment, { image: reference })
    });
    this._image(CommandIDs.removeImage, {
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
    this._add<IOperation>(
      CommandIDs.cancelOperation,
      {
        label: trans.__('Cancel'),
        failure: trans.__('It could not be cancelled'),
        work: ({ id }) => api.cancelOperation(id)
      },
      'operation',
      ({ operation }) => model.operations.get(operation as string)
    );
    this._add<IOperation>(
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

  /** Say why a terminal closed, if its person did not close it. */
  private _terminalClosed({ id, display_name }: IContainer): void {
    const { model, trans } = this._options;
    model.refresh('containers').then(
      () => {
        const { containers } = model;
        if (!containers?.some(each => each.id === id && each.state !== 'ended')) {
          Notification.info(
            containers
              ? trans.__('The terminal of %1 was closed: its container is gone.', display_name)
              : trans.__('The terminal of %1 was closed: no engine answers.', display_name),
            { autoClose: NOTICE_SHOWN }
          );
        }
      },
      () => undefined
    );
  }

  private _title(container: IContainer): string {
    const session = this._options.model.session(container);
    return session?.name ?? session?.path ?? '';
  }

  private _environment(id: string, action: IAction<AnyEnvironment>): void {
    this._add(id, action, 'environment', ({ environment }) =>
      this._options.model.environments?.find(each => each.name === environment)
    );
  }

  private _container(id: string, action: IAction<IContainer>): void {
    this._add(id, action, 'container', ({ container }) =>
      this._options.model.containers?.find(each => each.id === container)
    );
  }

  private _image(id: string, action: IAction<IEngineImage>): void {
    this._add(id, action, 'image', ({ image }) =>
      this._options.model.images?.find(each => each.id === image)
    );
  }

  private _add<T>(
    id: string,
    action: IAction<T>,
    argument: string,
    find: (args: ReadonlyPartialJSONObject) => T | undefined
  ): void {
    this._options.commands.addCommand(id, {
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
}
