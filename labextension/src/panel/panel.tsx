import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import {
  addIcon,
  CommandToolbarButton,
  downloadIcon,
  fileUploadIcon,
  PanelWithToolbar,
  ReactWidget,
  refreshIcon,
  SidePanel,
  ToolbarButton,
  UseSignal
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { AccordionPanel } from '@lumino/widgets';
import * as React from 'react';

import type { Texts } from '../texts';
import { CommandIDs } from './commands';
import { Environments } from './environments';
import { containersIcon } from './icons';
import { Images } from './images';
import { Machine } from './machine';
import type { PanelModel } from './model';
import { Running } from './running';

/** How much of the height each section gets at first. */
const SIZES = [0.16, 0.36, 0.3, 0.18];

export interface IPanelOptions {
  model: PanelModel;
  commands: CommandRegistry;
  translator: ITranslator;
  trans: TranslationBundle;
  texts: Texts;
}

/** The side panel: the machine, what can be started on it, and what runs. */
export class ContainersPanel extends SidePanel {
  constructor(options: IPanelOptions) {
    super({ translator: options.translator });
    const { model, trans, commands, texts } = options;
    this._model = model;
    this.id = 'jp-tfcontainer-panel';
    this.addClass('jp-tfcontainer-Panel');
    this.title.icon = containersIcon;
    this.title.caption = trans.__('TensorFlow containers');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('TensorFlow containers'));
    const list = { model, trans, commands };
    const machine = this._addSection('machine', trans.__('Machine'), () => (
      <Machine model={model} trans={trans} />
    ));
    machine.toolbar.addItem(
      'refresh',
      new ToolbarButton({
        icon: refreshIcon,
        tooltip: trans.__('Look again'),
        onClick: () => void model.refresh()
      })
    );
    const environments = this._addSection('environments', trans.__('Environments'), () => (
      <Environments {...list} />
    ));
    for (const [id, icon] of [
      [CommandIDs.addEnvironment, addIcon],
      [CommandIDs.importEnvironment, fileUploadIcon]
    ] as const) {
      environments.toolbar.addItem(id, new CommandToolbarButton({ commands, id, icon, label: '' }));
    }
    this._addSection('running', trans.__('Running'), () => <Running {...list} texts={texts} />);
    const images = this._addSection('images', trans.__('Images'), () => (
      <Images {...list} texts={texts} />
    ));
    images.toolbar.addItem(
      'pull',
      new CommandToolbarButton({ commands, id: CommandIDs.pull, icon: downloadIcon, label: '' })
    );
    if (this.content instanceof AccordionPanel) {
      this.content.setRelativeSizes(SIZES);
    }
  }

  override dispose(): void {
    this._watch?.dispose();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._watch ??= this._model.watch();
  }

  protected override onBeforeHide(msg: Message): void {
    super.onBeforeHide(msg);
    this._watch?.dispose();
    this._watch = null;
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this.isVisible) {
      this._watch ??= this._model.watch();
    }
  }

  private _addSection(
    id: string,
    label: string,
    render: () => React.JSX.Element
  ): PanelWithToolbar {
    const section = new PanelWithToolbar();
    section.addClass('jp-tfcontainer-Section');
    section.title.label = label;
    section.node.dataset.section = id;
    const body = ReactWidget.create(
      <UseSignal signal={this._model.changed}>{() => render()}</UseSignal>
    );
    body.addClass('jp-tfcontainer-SectionBody');
    // Where it scrolls and has nothing to press, the keyboard can scroll it too.
    body.node.tabIndex = 0;
    body.node.setAttribute('role', 'group');
    body.node.setAttribute('aria-label', label);
    section.addWidget(body);
    this.addWidget(section);
    return section;
  }

  private readonly _model: PanelModel;
  private _watch: IDisposable | null = null;
}
