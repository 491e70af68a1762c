import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { PanelWithToolbar, SidePanel } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { AccordionPanel } from '@lumino/widgets';

import { containersIcon } from '../components/icons';
import type { PanelModel } from '../model/panelmodel';

/** The panel's sections, from the top, and how much of the height each gets at first. */
const SECTIONS = { machine: 0.19, environments: 0.32, running: 0.28, images: 0.2, disk: 0.01 };

/** The same once the last one is unfolded: it is folded at first, and has no room of its own then. */
const UNFOLDED = { machine: 0.14, environments: 0.24, running: 0.22, images: 0.15, disk: 0.25 };

/** The name of a section. */
export type SectionName = keyof typeof SECTIONS;

/** The sections by their names. */
export type Sections = Record<SectionName, PanelWithToolbar>;

export interface IPanelOptions {
  model: PanelModel;
  translator: ITranslator;
  trans: TranslationBundle;
  /** Put into the sections what they show; called when the panel is first seen. */
  fill: (sections: Sections) => Promise<void>;
}

/** The side panel: the machine, what can be started on it, what runs, and what takes room. */
export class ContainersPanel extends SidePanel {
  constructor(options: IPanelOptions) {
    super({ translator: options.translator });
    const { trans } = options;
    this._options = options;
    this.id = 'jp-tfcontainer-panel';
    this.addClass('jp-tfcontainer-Panel');
    this.title.icon = containersIcon;
    this.title.caption = trans.__('TensorFlow containers');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('TensorFlow containers'));
    this._sections = {
      machine: this._addSection('machine', trans.__('Machine')),
      environments: this._addSection('environments', trans.__('Environments')),
      running: this._addSection('running', trans.__('Running')),
      images: this._addSection('images', trans.__('Images')),
      disk: this._addSection('disk', trans.__('Disk'))
    };
    if (this.content instanceof AccordionPanel) {
      this.content.expansionToggled.connect((content, index) => {
        const { disk } = this._sections;
        const small = (content.relativeSizes()[index] ?? 0) < UNFOLDED.disk / 2;
        if (content.widgets[index] === disk && !disk.isHidden && small) {
          content.setRelativeSizes(Object.values(UNFOLDED));
        }
      });
    }
    this.shareHeight();
  }

  /** Give each section its share of the height; one that is folded takes none. */
  shareHeight(): void {
    if (this.content instanceof AccordionPanel) {
      this.content.setRelativeSizes(Object.values(SECTIONS));
    }
  }

  override dispose(): void {
    this._watch?.dispose();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._seen();
  }

  protected override onBeforeHide(msg: Message): void {
    super.onBeforeHide(msg);
    this._watch?.dispose();
    this._watch = null;
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this.isVisible) {
      this._seen();
    }
  }

  private _seen(): void {
    const { model, fill } = this._options;
    this._watch ??= model.watch();
    if (!this._filled) {
      this._filled = true;
      fill(this._sections).catch((reason: unknown) => {
        // It is tried anew when the panel is next opened.
        this._filled = false;
        console.error('The panel of TensorFlow containers could not be loaded.', reason);
      });
    }
  }

  private _addSection(name: SectionName, label: string): PanelWithToolbar {
    const section = new PanelWithToolbar();
    section.addClass('jp-tfcontainer-Section');
    section.title.label = label;
    section.node.dataset.section = name;
    this.addWidget(section);
    return section;
  }

  private readonly _options: IPanelOptions;
  private readonly _sections: Sections;
  private _watch: IDisposable | null = null;
  private _filled = false;
}
