import { nullTranslator } from '@jupyterlab/translation';
import { expect, it, vi } from 'vitest';

import { showCaveats } from '../src/caveatsdialog';
import { Texts } from '../src/texts';

it('shows each caveat as an item of a list', async () => {
  const closed = showCaveats('TF 1.2.1 GPU', ['<b>one</b>', 'two'], new Texts(nullTranslator));
  const items = await vi.waitFor(() => {
    const found = document.querySelectorAll('.jp-Dialog li');
    expect(found).toHaveLength(2);
    return Array.from(found, item => item.textContent);
  });
  expect(items).toEqual(['<b>one</b>', 'two']);
  expect(document.querySelector('.jp-Dialog-header')?.textContent).toBe('TF 1.2.1 GPU here');
  document.querySelector<HTMLButtonElement>('.jp-Dialog-footer button')?.click();
  await closed;
  expect(document.querySelector('.jp-Dialog')).toBeNull();
});
