import { describe, expect, it } from 'vitest';

import {
  archiveName,
  buildOf,
  EMPTY,
  failure,
  type IBuildForm,
  isComplete,
  packages
} from '../src/imagebuild/request';

const FILLED: IBuildForm = {
  ...EMPTY,
  base: ' tf:1 ',
  pip: 'pandas==0.20.3\nscipy',
  displayName: ' My TF '
};

describe('packages', () => {
  it.each([
    ['', []],
    [' pandas  scipy\nsix\n', ['pandas', 'scipy', 'six']],
    ['pandas >= 0.20, < 1', ['pandas>=0.20,<1']],
    ['a == 1 b ~= 2 c === 3', ['a==1', 'b~=2', 'c===3']],
    ['x @ https://a.example/x.whl', ['x@https://a.example/x.whl']],
    ['git=1:2.39.5', ['git=1:2.39.5']]
  ])('%o', (text, found) => {
    expect(packages(text)).toEqual(found);
  });
});

describe('a build', () => {
  it('of packages', () => {
    expect(buildOf(FILLED, new Set(['my-tf']))).toEqual({
      base: 'tf:1',
      apt: [],
      pip: ['pandas==0.20.3', 'scipy'],
      environment: { name: 'my-tf-2', display_name: 'My TF' }
    });
  });

  it('of a Dockerfile, with a name and GPUs', () => {
    const form: IBuildForm = {
      ...FILLED,
      from: 'dockerfile',
      dockerfile: 'a/Dockerfile ',
      reference: 'mine:1',
      gpus: true
    };
    expect(buildOf(form, new Set())).toEqual({
      dockerfile: 'a/Dockerfile',
      reference: 'mine:1',
      environment: { name: 'my-tf', display_name: 'My TF', gpus: 'all' }
    });
  });

  it('without an environment', () => {
    expect(buildOf({ ...FILLED, environment: false }, new Set())).not.toHaveProperty('environment');
  });

  it.each<[boolean, Partial<IBuildForm>]>([
    [true, {}],
    [true, { pip: '', apt: 'git' }],
    [true, { environment: false, displayName: '' }],
    [true, { from: 'dockerfile', base: '' }],
    [false, { base: ' ' }],
    [false, { pip: ' ' }],
    [false, { displayName: ' ' }],
    [false, { from: 'dockerfile', dockerfile: '' }]
  ])('is complete: %s with %o', (complete, change) => {
    expect(isComplete({ ...FILLED, ...change })).toBe(complete);
  });
});

describe('a failure', () => {
  it.each([
    ['It failed.', 'It failed.', null, ''],
    [
      'It failed at step 4 of 6, `RUN echo `date``: 1\nIts last lines:\na\nb',
      'It failed at step 4 of 6, `RUN echo `date``: 1',
      'RUN echo `date`',
      'a\nb'
    ],
    ['It ended with exit code 1. Its last lines:\na', 'It ended with exit code 1.', null, 'a']
  ])('%o', (message, sentence, line, lines) => {
    expect(failure(message)).toEqual({ sentence, line, lines });
  });
});

describe('the name of an archive', () => {
  it.each([
    ['tensorflow/tensorflow:1.2.1-py3', 'tensorflow-1.2.1-py3.tar'],
    ['127.0.0.1:5000/a/b@sha256:12', 'b-sha256-12.tar'],
    ['..', 'image.tar']
  ])('of %s', (reference, name) => {
    expect(archiveName(reference)).toBe(name);
  });
});
