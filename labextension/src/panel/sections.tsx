import type { TranslationBundle } from '@jupyterlab/translation';
import {
  addIcon,
  buildIcon,
  CommandToolbarButton,
  downloadIcon,
  fileUploadIcon,
  type LabIcon,
  ReactWidget,
  refreshIcon,
  ToolbarButton,
  UseSignal
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import type { Texts } from '../texts';
import { Disk } from './disk';
import type { DiskModel } from '../model/diskmodel';
import { Environments } from './environments';
import { CommandIDs, DiskCommandIDs, ImageCommandIDs } from '../commands/ids';
import { Images } from './images';
import { Machine } from './machine';
import type { PanelModel } from '../model/panelmodel';
import type { SectionName, Sections } from './panel';
import { Running } from './running';

export interface ISectionsOptions {
  model: PanelModel;
  disk: DiskModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
  texts: Texts;
}

/** Put into the sections of the panel what they show. */
export function fillSections(sections: Sections, options: ISectionsOptions): void {
  const { model, disk, commands, trans } = options;
  const show = (name: SectionName, render: () => React.JSX.Element) => {
    const body = ReactWidget.create(<UseSignal signal={model.changed}>{() => render()}</UseSignal>);
    body.addClass('jp-tfcontainer-SectionBody');
    // It may have to be scrolled, and need not have anything to press.
    body.node.tabIndex = 0;
    body.node.setAttribute('role', 'group');
    body.node.setAttribute('aria-label', sections[name].title.label);
    sections[name].addWidget(body);
  };
  const button = (name: SectionName, id: string, icon: LabIcon) => {
    sections[name].toolbar.addItem(id, new CommandToolbarButton({ commands, id, icon, label: '' }));
  };
  sections.machine.toolbar.addItem(
    'refresh',
    new ToolbarButton({
      icon: refreshIcon,
      tooltip: trans.__('Look again'),
      onClick: () => void model.refresh()
    })
  );
  button('environments', CommandIDs.addEnvironment, addIcon);
  button('environments', CommandIDs.importEnvironment, fileUploadIcon);
  button('images', CommandIDs.pull, downloadIcon);
  button('images', ImageCommandIDs.build, buildIcon);
  button('images', ImageCommandIDs.load, fileUploadIcon);
  button('disk', DiskCommandIDs.measure, refreshIcon);
  show('machine', () => <Machine model={model} trans={trans} />);
  show('environments', () => <Environments {...options} />);
  show('running', () => <Running {...options} />);
  show('images', () => <Images {...options} />);
  show('disk', () => <UseSignal signal={disk.changed}>{() => <Disk {...options} />}</UseSignal>);
}
