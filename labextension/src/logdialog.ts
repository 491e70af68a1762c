import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Texts } from './texts';

const LOG_CLASS = 'jp-tfcontainer-Log';

/** Colours and cursor movements, which a terminal would act on. */
// eslint-disable-next-line no-control-regex -- the escape character is what it looks for
const TERMINAL_SEQUENCE = /\x1b\[[0-9;?]*[A-Za-z]/g;

/**
 * Show the last lines of a container's log.
 *
 * @param displayName The name of the kernel's environment.
 * @param log The lines.
 * @param texts The sentences.
 */
export async function showLog(displayName: string, log: string, texts: Texts): Promise<void> {
  const title = texts.logTitle(displayName);
  await showDialog({
    title,
    body: new LogView(title, log),
    buttons: [Dialog.okButton({ label: texts.close })],
    focusNodeSelector: `.${LOG_CLASS}`,
    hasClose: true
  });
}

/** Lines of a log, to be scrolled with the keyboard too. */
export class LogView extends Widget {
  constructor(label: string, log: string) {
    super();
    this._lines.className = LOG_CLASS;
    this.setLines(log);
    this._lines.tabIndex = 0;
    this._lines.setAttribute('role', 'log');
    this._lines.setAttribute('aria-label', label);
    // A dialog looks for what to focus inside its body, so the body itself cannot be it.
    this.node.append(this._lines);
  }

  /** Show other lines; whoever looks at the end goes on looking at the end. */
  setLines(log: string): void {
    const { scrollTop, scrollHeight, clientHeight } = this._lines;
    const atEnd = scrollTop + clientHeight >= scrollHeight - 4;
    this._lines.textContent = log.replace(TERMINAL_SEQUENCE, '');
    if (atEnd) {
      this._lines.scrollTop = this._lines.scrollHeight;
    }
  }

  /** Show the end, where the reason stands. */
  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    // The dialog gets its size first.
    requestAnimationFrame(() => {
      this._lines.scrollTop = this._lines.scrollHeight;
    });
  }

  private readonly _lines = document.createElement('pre');
}
