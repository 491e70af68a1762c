import { Dialog, InputDialog } from '@jupyterlab/apputils';
import { FileDialog, type IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';

import type { PanelModel } from '../model/panelmodel';
import type { IEngineImage, RestAPI } from '../restapi';
import { BuildForm } from './form';
import { archiveName, buildOf, EMPTY, type IBuildForm } from './request';

/** What archives of images are called. */
const ARCHIVE = /\.(tar(\.\w+)?|tgz)$/i;

export interface IImageDialogsOptions {
  api: RestAPI;
  model: PanelModel;
  contents: Contents.IManager;
  /** Shows which folder a person is in. */
  browser: IDefaultFileBrowser | null;
  translator: ITranslator;
  trans: TranslationBundle;
}

/** The dialogs in which images are built, and read from files and written to them. */
export class ImageDialogs {
  constructor(private readonly _options: IImageDialogsOptions) {}

  /**
   * Build one.
   *
   * @param base The image to start from, if it is known.
   */
  async build(base?: string): Promise<void> {
    const { api, model, trans } = this._options;
    const dockerfile = this._inFolder('Dockerfile');
    let form: IBuildForm = { ...EMPTY, dockerfile, base: base ?? '' };
    let problem: string | null = null;
    for (;;) {
      const images = (model.images ?? []).flatMap(each => each.references);
      const dialog = new Dialog<IBuildForm>({
        title: trans.__('Build Image'),
        body: new BuildForm({ form, images, problem, trans }),
        buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Build') })]
      });
      dialog.addClass('jp-tfcontainer-FormDialog');
      const { button, value } = await dialog.launch();
      if (!button.accept || !value) {
        return;
      }
      try {
        const environments = await api.environments();
        await api.build(buildOf(value, new Set(environments.map(each => each.name))));
        return;
      } catch (error) {
        // What was filled in is still there, and the server's sentence below it.
        form = value;
        problem = (error as Error).message;
      }
    }
  }

  /** Read the images in files of the workspace. */
  async load(): Promise<void> {
    for (const path of await this._pick()) {
      await this._options.api.loadArchive(path);
    }
  }

  /** Write one to a file in the workspace. */
  async save({ references: [reference = ''] }: IEngineImage): Promise<void> {
    const { api, trans } = this._options;
    const { value } = await InputDialog.getText({
      title: trans.__('Save %1 as Archive', reference),
      label: trans.__('Path of the file in the workspace'),
      text: this._inFolder(archiveName(reference)),
      okLabel: trans.__('Save')
    });
    if (value?.trim()) {
      await api.saveArchive(reference, value.trim());
    }
  }

  private async _pick(): Promise<string[]> {
    const { browser, contents, translator, trans } = this._options;
    const title = trans.__('Load Images from an Archive');
    if (!browser) {
      const label = trans.__('Path of the file in the workspace');
      const { value } = await InputDialog.getText({ title, label, okLabel: trans.__('Load') });
      return value?.trim() ? [value.trim()] : [];
    }
    const { button, value } = await FileDialog.getOpenFiles({
      title,
      label: trans.__('Archives are files as “docker save” writes them: .tar, .tar.gz, .tgz'),
      manager: browser.model.manager,
      defaultPath: browser.model.path,
      filter: ({ name, type }) => (type === 'directory' || ARCHIVE.test(name) ? {} : null),
      translator
    });
    // Where nothing was picked, it is the folder.
    const files = (button.accept && value ? value : []).filter(each => each.type !== 'directory');
    return files.map(each => contents.localPath(each.path));
  }

  /** The path of a file in the folder that the person is in. */
  private _inFolder(name: string): string {
    const { browser, contents } = this._options;
    const folder = contents.localPath(browser?.model.path ?? '');
    return folder ? `${folder}/${name}` : name;
  }
}
