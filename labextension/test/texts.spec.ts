import type { ITranslator } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { LONGEST_MESSAGE, Texts } from '../src/texts';
import type { IKernelDead, IKernelStarting, IPullProgress } from '../src/tokens';

const GIB = 2 ** 30;
const texts = new Texts(nullTranslator);

function starting(step: string, progress?: IPullProgress): IKernelStarting {
  return {
    state: 'starting',
    kernel_id: 'a',
    environment: 'tf',
    display_name: 'TF',
    message: '',
    step,
    ...(progress && { progress })
  };
}

function dead(fields: Partial<IKernelDead>): IKernelDead {
  return {
    state: 'dead',
    kernel_id: 'a',
    environment: 'tf',
    display_name: 'TF',
    message: '',
    ...fields
  };
}

describe('the text of a start', () => {
  it.each([
    ['engine', 'Starting TF: looking for the container engine'],
    ['preflight', 'Starting TF: checking what this machine offers'],
    ['pull', 'Starting TF: pulling its image'],
    ['prepare', 'Starting TF: preparing its image for Jupyter'],
    ['create', 'Starting TF: creating the container'],
    ['boot', 'Starting TF: starting the container'],
    ['launch', 'Starting TF: starting the kernel'],
    ['a step of a newer server', 'Starting TF']
  ])('names the step %s', (step, expected) => {
    expect(texts.starting(starting(step))).toBe(expected);
  });

  it('has a percentage when the size of every layer is known', () => {
    const progress = {
      current: 345_600_000,
      total: 1_230_000_000,
      layers_done: 3,
      layers: 22,
      sized: true
    };
    expect(texts.starting(starting('pull', progress))).toBe(
      'Starting TF: pulling its image, 28%: 346 MB of 1.23 GB (3 of 22 layers)'
    );
  });

  it('has bytes and layers only when it is not', () => {
    const progress = { current: 12_345, total: 20_000, layers_done: 0, layers: 22, sized: false };
    expect(texts.starting(starting('pull', progress))).toBe(
      'Starting TF: pulling its image, 12 kB (0 of 22 layers)'
    );
  });

  it('has none when all layers were there', () => {
    const progress = { current: 0, total: 0, layers_done: 22, layers: 22, sized: true };
    expect(texts.starting(starting('pull', progress))).not.toContain('%');
  });

  it.each([
    [999, '99%'],
    [1000, '100%'],
    [1001, '100%']
  ])('says of %i bytes of 1000 that they are %s', (current, expected) => {
    const progress = { current, total: 1000, layers_done: 1, layers: 1, sized: true };
    expect(texts.starting(starting('pull', progress))).toContain(` ${expected}:`);
  });

  it('writes numbers in the language of the reader', () => {
    const french: ITranslator = {
      languageCode: 'fr_FR',
      load: domain => nullTranslator.load(domain)
    };
    const progress = { current: 1_500_000_000, total: 3e9, layers_done: 1, layers: 2, sized: true };
    expect(new Texts(french).starting(starting('pull', progress))).toMatch(/50\s%: 1,5\sGo/u);
  });

  it('does without the language, which JupyterLab 4.2 does not tell', () => {
    const old = { load: (domain: string) => nullTranslator.load(domain) } as ITranslator;
    const progress = { current: 5e6, total: 1e7, layers_done: 1, layers: 2, sized: true };
    expect(new Texts(old).starting(starting('pull', progress))).toContain('5 MB');
  });
});

describe('the text of a death', () => {
  it.each<[Partial<IKernelDead>, string]>([
    [{ reason: 'exited', exit_code: 0 }, 'TF: the kernel ended by itself, with exit code 0.'],
    [{ reason: 'exited' }, 'TF: the kernel ended by itself.'],
    [{ reason: 'signal', signal: 'SIGKILL' }, 'TF: the kernel was ended by the signal SIGKILL.'],
    [{ reason: 'signal' }, 'TF: the kernel was ended by a signal.'],
    [
      { reason: 'out_of_memory', memory_limit: GIB / 2 },
      'TF: the kernel ran out of memory: its container has 512 MiB.'
    ],
    [
      { reason: 'out_of_memory', memory_limit: 1.5 * GIB },
      'TF: the kernel ran out of memory: its container has 1.5 GiB.'
    ],
    [
      { reason: 'out_of_memory', memory_limit: 8 * GIB },
      'TF: the kernel ran out of memory: its container has 8 GiB.'
    ],
    [{ reason: 'out_of_memory' }, 'TF: the kernel ran out of memory.'],
    [{ reason: 'container' }, "TF: the kernel's container was ended."],
    [{ reason: 'of a newer server', message: 'Something new.' }, 'Something new.'],
    [{ message: '' }, 'TF: the kernel died.']
  ])('for %o', (fields, expected) => {
    expect(texts.dead(dead(fields))).toBe(expected);
  });

  it('does not repeat the English of the server where there is a translation', () => {
    expect(texts.dead(dead({ reason: 'container', message: 'English' }))).not.toContain('English');
  });
});

it('never is longer than JupyterLab shows', () => {
  const display_name = 'Tensor'.repeat(50);
  const progress = { current: 999e6, total: 123_456e6, layers_done: 100, layers: 120, sized: true };
  const all = [
    ...['engine', 'preflight', 'pull', 'create', 'boot', 'launch'].map(step =>
      texts.starting({ ...starting(step), display_name })
    ),
    texts.starting({ ...starting('pull', progress), display_name }),
    texts.running(display_name),
    ...['exited', 'signal', 'out_of_memory', 'container'].map(reason =>
      texts.dead(
        dead({ display_name, reason, exit_code: 255, signal: 'SIGKILL', memory_limit: GIB })
      )
    ),
    texts.dead(dead({ message: 'word '.repeat(100) }))
  ];
  for (const text of all) {
    expect(text.length).toBeLessThanOrEqual(LONGEST_MESSAGE);
    expect(text).toContain('…');
  }
});
