import { Dialog, showDialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

import type { Texts } from './texts';

/**
 * Show what is to be said of an environment on this machine, though it runs.
 *
 * @param displayName The name of the environment.
 * @param caveats The server's sentences.
 * @param texts Our own.
 */
export async function showCaveats(
  displayName: string,
  caveats: string[],
  texts: Texts
): Promise<void> {
  const list = document.createElement('ul');
  list.className = 'jp-tfcontainer-Caveats';
  list.append(
    ...caveats.map(caveat => {
      const item = document.createElement('li');
      item.textContent = caveat;
      return item;
    })
  );
  await showDialog({
    title: texts.caveatsTitle(displayName),
    body: new Widget({ node: list }),
    buttons: [Dialog.okButton({ label: texts.close })],
    hasClose: true
  });
}
