import { Widget } from '@lumino/widgets';
import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { LogView, showLog } from '../src/logdialog';
import { Texts } from '../src/texts';

describe('showLog', () => {
  it('opens a dialog whose log can be read, focused and closed', async () => {
    const closed = showLog('TF 1.2.1 GPU', 'one\n<b>two</b>', new Texts(nullTranslator));
    const log = await vi.waitFor(() => {
      const found = document.querySelector<HTMLElement>('.jp-Dialog [role="log"]');
      if (!found || document.activeElement !== found) {
        throw new Error('The log does not have the focus.');
      }
      return found;
    });
    expect(log.tagName).toBe('PRE');
    expect(log.textContent).toBe('one\n<b>two</b>');
    expect(log.getAttribute('aria-label')).toBe('Last lines of TF 1.2.1 GPU');
    expect(document.querySelector('.jp-Dialog-header')?.textContent).toBe(
      'Last lines of TF 1.2.1 GPU'
    );
    const button = document.querySelector<HTMLButtonElement>('.jp-Dialog-footer button');
    expect(button?.textContent).toBe('Close');
    button?.click();
    await closed;
    expect(document.querySelector('.jp-Dialog')).toBeNull();
  });
});

describe('LogView', () => {
  let view: LogView;

  const lines = () => view.node.firstElementChild as HTMLElement;

  afterEach(() => {
    view.dispose();
  });

  it('leaves out what only a terminal understands', () => {
    view = new LogView('Log', '\x1b[1;31mError\x1b[0m: no\x1b[?25l [0m');
    expect(lines().textContent).toBe('Error: no [0m');
  });

  it('shows the end', async () => {
    view = new LogView('Log', 'one\ntwo');
    vi.spyOn(lines(), 'scrollHeight', 'get').mockReturnValue(777);
    Widget.attach(view, document.body);
    await vi.waitFor(() => {
      expect(lines().scrollTop).toBe(777);
    });
  });
});
