import { describe, expect, it } from 'vitest';

import { lacksKernel } from '../src/commands/imagebuild';
import type { IEngineImage } from '../src/restapi';

const BARE: IEngineImage = {
  id: 'sha256:1',
  references: ['python:3', 'mine:1'],
  size: 1,
  unique_size: null,
  created: '',
  origin: 'pulled',
  parent: null,
  used_by: { environments: [], containers: [] },
  inside: { python: '3.11.2', ipykernel: null, tensorflow: null },
  freeable: true
};

describe('lacksKernel', () => {
  it.each<[string, boolean, IEngineImage, Partial<IEngineImage>]>([
    ['where there is none', true, BARE, {}],
    ['not where nobody has looked', false, { ...BARE, inside: null }, {}],
    [
      'not where there is one',
      false,
      { ...BARE, inside: { python: '3', ipykernel: '7', tensorflow: null } },
      {}
    ],
    ['not where one was made of it', false, BARE, { origin: 'prepared', parent: 'mine:1' }],
    ['where that was made of another', true, BARE, { origin: 'prepared', parent: 'other:1' }],
    ['where something else was made of it', true, BARE, { origin: 'built', parent: 'mine:1' }]
  ])('%s', (_, lacks, image, other) => {
    expect(lacksKernel(image, [image, { ...BARE, id: 'sha256:2', references: [], ...other }])).toBe(
      lacks
    );
  });
});
