import type { IStateDB } from '@jupyterlab/statedb';
import { AccordionPanel } from '@lumino/widgets';

import type { ContainersPanel } from './panel';

/** Under which name it is kept which sections are folded. */
const KEY = 'jupyter-tfcontainer:folded';

/**
 * Keep which sections of the panel are folded, over reloads.
 *
 * @param panel The panel.
 * @param state Where JupyterLab keeps such things.
 * @param folded The sections that are folded until a person has folded or unfolded any, by their names.
 */
export async function rememberFolds(
  panel: ContainersPanel,
  state: IStateDB | null,
  folded: readonly string[]
): Promise<void> {
  const { content } = panel;
  if (!(content instanceof AccordionPanel)) {
    return;
  }
  const kept = await state?.fetch(KEY);
  const names = Array.isArray(kept) ? kept : folded;
  content.widgets.forEach((section, index) => {
    if (names.includes(section.node.dataset.section ?? '')) {
      content.collapse(index);
    }
  });
  // A panel that nobody has seen has no height, of which Lumino makes other shares when it folds something.
  panel.shareHeight();
  content.expansionToggled.connect(() => {
    const now = content.widgets.filter(each => each.isHidden);
    void state?.save(
      KEY,
      now.map(each => each.node.dataset.section ?? '')
    );
  });
}
