import { Dialog, Notification, showErrorMessage } from '@jupyterlab/apputils';
import type { KernelSpec } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import { copyName } from '../documents';
import { CommandIDs } from '../commands/ids';
import type { PanelModel } from '../model/panelmodel';
import type { IEnvironment, RestAPI } from '../restapi';
import { best, choiceName, EMPTY, fieldsOf, formOf, type IForm } from './choices';
import { EnvironmentForm, type IFormOptions } from './form';

/** Milliseconds for which it is to be seen that an environment was made. */
const SHOWN = 6000;

export interface IEnvironmentDialogsOptions {
  api: RestAPI;
  model: PanelModel;
  kernelspecs: KernelSpec.IManager;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

/** The dialogs in which environments are made and changed. */
export class EnvironmentDialogs {
  constructor(private readonly _options: IEnvironmentDialogsOptions) {}

  /**
   * Make one.
   *
   * @param image Of which image; by default what is best on this machine is offered.
   */
  async add(image?: string): Promise<void> {
    const { api, trans } = this._options;
    try {
      const [catalog, machine, environments] = await Promise.all([
        api.catalog(),
        api.machine(),
        api.environments()
      ]);
      const taken = new Set(environments.map(each => each.name));
      const shown = (form: IForm) =>
        form.displayName.trim() || (form.choice ? choiceName(form.choice) : form.image.trim());
      const fields = (form: IForm) => ({ ...fieldsOf(form, null), display_name: shown(form) });
      const name = (form: IForm) => copyName(shown(form), taken);
      await this._ask({
        title: trans.__('Add Environment'),
        label: trans.__('Add'),
        failure: trans.__('The environment could not be created'),
        form: image ? { ...EMPTY, image } : { ...EMPTY, choice: best(catalog, machine) },
        catalog,
        before: null,
        draft: form => api.draft(name(form), true, fields(form)),
        work: async form => {
          this._tell(await api.makeEnvironment(name(form), fields(form)));
        }
      });
    } catch (error) {
      await showErrorMessage(trans.__('The catalog could not be read'), error as Error);
    }
  }

  /** Change one. */
  async edit(environment: IEnvironment): Promise<void> {
    const { api, trans } = this._options;
    const { name, display_name } = environment;
    await this._ask({
      title: trans.__('Edit %1', display_name),
      label: trans.__('Save'),
      failure: trans.__('The environment could not be changed'),
      form: formOf(environment),
      catalog: null,
      before: environment,
      draft: form => api.draft(name, false, fieldsOf(form, environment)),
      work: form => api.changeEnvironment(name, fieldsOf(form, environment))
    });
  }

  private async _ask(
    options: Pick<IFormOptions, 'form' | 'catalog' | 'before'> & {
      title: string;
      label: string;
      failure: string;
      draft: (form: IForm) => ReturnType<RestAPI['draft']>;
      work: (form: IForm) => Promise<unknown>;
    }
  ): Promise<void> {
    const { kernelspecs, model, trans } = this._options;
    let { form } = options;
    for (;;) {
      const body = new EnvironmentForm({
        form,
        catalog: options.catalog,
        before: options.before,
        trans,
        draft: options.draft
      });
      const dialog = new Dialog<IForm>({
        title: options.title,
        body,
        // Else the button that accepts has it, if it can be pressed by then: if not, what is behind the dialog keeps it.
        focusNodeSelector: 'select, input',
        buttons: [Dialog.cancelButton(), Dialog.okButton({ label: options.label })]
      });
      dialog.addClass('jp-tfcontainer-FormDialog');
      const { button, value } = await dialog.launch();
      if (!button.accept || !value) {
        return;
      }
      try {
        await options.work(value);
        await Promise.all([kernelspecs.refreshSpecs(), model.refresh('environments')]);
        return;
      } catch (error) {
        await showErrorMessage(options.failure, error as Error);
        // What was filled in is still there.
        form = value;
      }
    }
  }

  private _tell({ name, display_name }: IEnvironment): void {
    const { commands, trans } = this._options;
    Notification.success(trans.__('%1 is in the launcher.', display_name), {
      autoClose: SHOWN,
      actions: [
        {
          label: trans.__('New notebook'),
          callback: () => void commands.execute(CommandIDs.newNotebook, { environment: name })
        }
      ]
    });
  }
}
