import { InputDialog } from '@jupyterlab/apputils';

import { copyName, download } from '../documents';
import type { AnyEnvironment } from '../restapi';
import { addOnEnvironment, type ICommandOptions } from './actions';
import { confirm } from './asking';
import { CommandIDs } from './ids';

/** Add the commands on environments. */
export function addEnvironmentCommands(options: ICommandOptions): void {
  const { api, model, trans, commands, browser } = options;
  const startable = (one: AnyEnvironment) => !!model.ready && 'image' in one;
  const cwd = () => browser?.model.path ?? '';
  addOnEnvironment(options, CommandIDs.newNotebook, {
    label: trans.__('New Notebook'),
    failure: trans.__('The notebook could not be made'),
    isEnabled: startable,
    work: ({ name }) =>
      commands.execute('notebook:create-new', { kernelName: name, cwd: cwd(), activate: true })
  });
  addOnEnvironment(options, CommandIDs.newConsole, {
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
  addOnEnvironment(options, CommandIDs.startAhead, {
    label: trans.__('Start Ahead'),
    failure: trans.__('The container could not be started'),
    isEnabled: startable,
    work: ({ name }) => model.during(name, trans.__('Starting…'), () => api.startAhead(name))
  });
  addOnEnvironment(options, CommandIDs.startWithoutPackages, {
    label: trans.__('Start without My Packages'),
    failure: trans.__('The container could not be started'),
    isEnabled: startable,
    work: async ({ name }) => {
      await model.during(name, trans.__('Starting…'), () => api.startAhead(name, 'temporary'));
      // Its kernel takes the container that waits.
      await commands.execute(CommandIDs.newNotebook, { environment: name });
    }
  });
  addDocuments(options);
}

/** Add those that export and copy. */
function addDocuments(options: ICommandOptions): void {
  const { api, model, trans } = options;
  addOnEnvironment(options, CommandIDs.exportEnvironment, {
    label: trans.__('Export'),
    failure: trans.__('The environment could not be exported'),
    work: async ({ name }) => {
      download(`${name}.json`, JSON.stringify(await api.exportEnvironment(name), null, 2));
    }
  });
  addOnEnvironment(options, CommandIDs.copyEnvironment, {
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
        await changed(options);
      }
    }
  });
  addChanges(options);
}

/** Add those that change an environment, or remove it. */
function addChanges(options: ICommandOptions): void {
  const { api, model, trans } = options;
  addOnEnvironment(options, CommandIDs.editEnvironment, {
    label: trans.__('Edit…'),
    failure: trans.__('The environment could not be changed'),
    isEnabled: one => one.own && 'image' in one,
    work: async one => {
      if ('image' in one) {
        await options.edit(one);
      }
    }
  });
  const hide = (hidden: boolean) => async (one: AnyEnvironment) => {
    await api.changeEnvironment(one.name, { hidden });
    await changed(options);
  };
  addOnEnvironment(options, CommandIDs.hideEnvironment, {
    label: trans.__('Hide from the Launcher'),
    failure: trans.__('The environment could not be hidden'),
    work: hide(true)
  });
  addOnEnvironment(options, CommandIDs.showEnvironment, {
    label: trans.__('Show in the Launcher'),
    failure: trans.__('The environment could not be shown'),
    work: hide(false)
  });
  addOnEnvironment(options, CommandIDs.useInstead, {
    label: trans.__('Use What Runs Here Instead'),
    failure: trans.__('The environment could not be created'),
    work: async ({ name }) => {
      await options.useInstead(name);
      await model.refresh('environments');
    }
  });
  addOnEnvironment(options, CommandIDs.deleteEnvironment, {
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
        await changed(options);
      }
    }
  });
}

async function changed({ model, services }: ICommandOptions): Promise<void> {
  await Promise.all([model.refresh('environments'), services.kernelspecs.refreshSpecs()]);
}
