import { describe, expect, it } from 'vitest';

import { duration, memory } from '../src/format';

describe('duration', () => {
  it.each([
    [0, '0 sec'],
    [59.9, '59 sec'],
    [60, '1 min'],
    [3599, '59 min'],
    [3661, '1 hr 1 min'],
    [86400 * 2 + 3600, '2 days 1 hr'],
    [86400 + 60, '1 day']
  ])('%d s', (seconds, text) => {
    expect(duration(seconds, 'en')).toBe(text);
  });
});

describe('memory', () => {
  it.each([
    [0, '0 MiB'],
    [512 * 2 ** 20, '512 MiB'],
    [4 * 2 ** 30, '4 GiB'],
    [1.5 * 2 ** 30, '1.5 GiB']
  ])('%d bytes', (count, text) => {
    expect(memory(count)).toBe(text);
  });
});
