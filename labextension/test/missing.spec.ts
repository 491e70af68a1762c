import type { ISessionContext } from '@jupyterlab/apputils';
import { SessionContextDialogs, showDialog } from '@jupyterlab/apputils';
import type { KernelSpec } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { MissingEnvironments, wanted, type IRelease } from '../src/suggestions/missing';

import { Texts } from '../src/texts';

describe('wanted', () => {
  it.each([
    ['tf-1.2.1-gpu', '', { tensorflow: '1.2.1', device: 'gpu' }],
    ['my-own', 'TF 1.15.5 CPU', { tensorflow: '1.15.5', device: 'cpu' }],
    ['tf-2.0.0-rc1-gpu', '', { tensorflow: '2.0.0-rc1', device: 'gpu' }],
    ['python3', 'Python 3 (ipykernel)', null],
    ['tf', 'TF 1.2.1', null],
    ['', '', null]
  ])('reads %s, %s', (name, displayName, expected) => {
    expect(wanted(name, displayName)).toEqual(expected);
  });
});

describe('MissingEnvironments', () => {
  const image = (reference: string, word: 'works' | 'cannot') => ({
    reference,
    verdict: { word, reasons: [{ sentence: `It ${word}.` }] }
  });
  const kernel = { name: 'tf-1.2.1-gpu', display_name: 'TF 1.2.1 GPU' };
  const changeKernel = vi.fn();
  const selectKernel = vi.fn();
  const session = {
    changeKernel,
    session: null,
    // What JupyterLab's own question shows of it.
    name: 'old.ipynb',
    isDisposed: false,
    hasNoKernel: true,
    kernelDisplayName: 'No Kernel',
    kernelPreference: {},
    specsManager: { specs: null },
    sessionManager: { running: () => [] },
    kernelManager: { running: () => [] }
  } as unknown as ISessionContext;
  const api = {
    release: vi.fn<(tensorflow: string) => Promise<IRelease>>(),
    createEnvironment: vi.fn()
  };
  const kernelspecs = {
    ready: Promise.resolve(),
    specs: { default: 'python3', kernelspecs: { python3: {} } },
    refreshSpecs: vi.fn()
  };
  let missing: MissingEnvironments;

  /** The dialog, as soon as it is there. */
  const dialog = () =>
    vi.waitFor(() => {
      const found = document.querySelector('.jp-Dialog');
      if (!found) {
        throw new Error('There is no dialog.');
      }
      return found;
    });

  const buttons = (within: Element) =>
    Array.from(within.querySelectorAll<HTMLButtonElement>('.jp-Dialog-footer button'));

  const press = (within: Element, label: string) => {
    buttons(within)
      .find(button => button.textContent === label)
      ?.click();
  };

  beforeEach(() => {
    vi.resetAllMocks();
    api.createEnvironment.mockResolvedValue({ name: 'made', display_name: 'TF' });
    missing = new MissingEnvironments({
      api,
      kernelspecs: kernelspecs as unknown as KernelSpec.IManager,
      texts: new Texts(nullTranslator),
      dialogs: { selectKernel }
    });
  });

  it('makes the environment and moves the notebook into it', async () => {
    api.release.mockResolvedValue({
      images: [image('gpu:1', 'works'), image('cpu:1', 'works')],
      best: { gpu: 'gpu:1', cpu: 'cpu:1' }
    });
    const done = missing.opened('old.ipynb', kernel, session);
    const shown = await dialog();
    expect(shown.textContent).toContain('TF 1.2.1 GPU is not here yet');
    expect(shown.textContent).toContain('old.ipynb was written in an environment');
    expect(shown.textContent).toContain('the image gpu:1');
    expect(buttons(shown).map(button => button.textContent)).toEqual([
      'Other kernel…',
      'Create TF 1.2.1 GPU'
    ]);
    press(shown, 'Create TF 1.2.1 GPU');
    await done;
    expect(api.createEnvironment).toHaveBeenCalledExactlyOnceWith('1.2.1', 'gpu');
    expect(kernelspecs.refreshSpecs).toHaveBeenCalledOnce();
    expect(changeKernel).toHaveBeenCalledExactlyOnceWith({ name: 'made' });
  });

  it('offers the processor where the card cannot', async () => {
    api.release.mockResolvedValue({
      images: [image('gpu:1', 'cannot'), image('cpu:1', 'works')],
      best: { gpu: 'gpu:1', cpu: 'cpu:1' }
    });
    const done = missing.opened('old.ipynb', kernel, session);
    const shown = await dialog();
    expect(shown.textContent).toContain('which cannot run on this machine. It cannot.');
    expect(shown.textContent).toContain('TF 1.2.1 CPU can be made instead, from the image cpu:1,');
    expect(document.activeElement?.textContent).toBe('Create TF 1.2.1 CPU');
    press(shown, 'Create TF 1.2.1 CPU');
    await done;
    expect(api.createEnvironment).toHaveBeenCalledExactlyOnceWith('1.2.1', 'cpu');
  });

  it('leads to the other kernels', async () => {
    api.release.mockResolvedValue({
      images: [image('gpu:1', 'works')],
      best: { gpu: 'gpu:1', cpu: null }
    });
    const done = missing.opened('old.ipynb', kernel, session);
    press(await dialog(), 'Other kernel…');
    await done;
    expect(api.createEnvironment).not.toHaveBeenCalled();
    expect(selectKernel).toHaveBeenCalledExactlyOnceWith(session);
  });

  it('asks in the place of JupyterLab', async () => {
    api.release.mockResolvedValue({
      images: [image('gpu:1', 'works')],
      best: { gpu: 'gpu:1', cpu: null }
    });
    const other = new SessionContextDialogs().selectKernel(session);
    expect((await dialog()).textContent).toContain('Select kernel for: "old.ipynb"');
    const done = missing.opened('old.ipynb', kernel, session);
    await other;
    expect(changeKernel).not.toHaveBeenCalled();
    press(await dialog(), 'Other kernel…');
    await done;
  });

  it('leaves the questions of others open, and asks after them', async () => {
    api.release.mockResolvedValue({
      images: [image('gpu:1', 'works')],
      best: { gpu: 'gpu:1', cpu: null }
    });
    const settled = vi.fn();
    const unsaved = showDialog({ title: 'Save your work', body: 'Unsaved changes in new.ipynb' });
    void unsaved.then(settled);
    const another = { ...session, name: 'another.ipynb' } as unknown as ISessionContext;
    const elsewhere = new SessionContextDialogs().selectKernel(another).then(settled);
    const shown = await dialog();
    const done = missing.opened('old.ipynb', kernel, session);
    // Dialogs come one after the other: ours waits.
    await new Promise(resolve => setTimeout(resolve));
    expect(api.release).toHaveBeenCalledOnce();
    expect(settled).not.toHaveBeenCalled();
    press(shown, 'Ok');
    expect((await unsaved).button.accept).toBe(true);
    await vi.waitFor(() => {
      expect(document.querySelector('.jp-Dialog')?.textContent).toContain('another.ipynb');
    });
    press(await dialog(), 'No Kernel');
    await elsewhere;
    await vi.waitFor(() => {
      expect(document.querySelector('.jp-Dialog')?.textContent).toContain('is not here yet');
    });
    press(await dialog(), 'Other kernel…');
    await done;
    expect(selectKernel).toHaveBeenCalledExactlyOnceWith(session);
  });

  it('asks nothing once there is a kernel', async () => {
    api.release.mockResolvedValue({
      images: [image('gpu:1', 'works')],
      best: { gpu: 'gpu:1', cpu: null }
    });
    const running = { ...session, session: { kernel: {} } } as unknown as ISessionContext;
    await missing.opened('old.ipynb', kernel, running);
    expect(document.querySelector('.jp-Dialog')).toBeNull();
  });

  it.each([
    ['whose kernel is there', { name: 'python3', display_name: 'TF 1.2.1 GPU' }],
    ['of another kind', { name: 'ir', display_name: 'R' }],
    ['that names no kernel', {}]
  ])('asks nothing of a notebook %s', async (_, other) => {
    await missing.opened('new.ipynb', other, session);
    expect(api.release).not.toHaveBeenCalled();
  });

  it('asks nothing of a release that the catalog does not have', async () => {
    api.release.mockResolvedValue({ images: [], best: { gpu: null, cpu: null } });
    await missing.opened('old.ipynb', kernel, session);
    expect(document.querySelector('.jp-Dialog')).toBeNull();
  });

  it('says why it could not be made', async () => {
    api.release.mockResolvedValue({
      images: [image('gpu:1', 'works')],
      best: { gpu: 'gpu:1', cpu: null }
    });
    api.createEnvironment.mockRejectedValue(new Error('The disk is full.'));
    const done = missing.opened('old.ipynb', kernel, session);
    press(await dialog(), 'Create TF 1.2.1 GPU');
    await vi.waitFor(() => {
      expect(document.querySelector('.jp-Dialog')?.textContent).toContain('The disk is full.');
    });
    press(await dialog(), 'Close');
    await done;
    expect(changeKernel).not.toHaveBeenCalled();
  });
});
