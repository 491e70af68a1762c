import { describe, expect, it } from 'vitest';

import {
  best,
  candidates,
  choose,
  devices,
  EMPTY,
  fieldsOf,
  formOf,
  releases
} from '../src/add/choices';
import { copyName } from '../src/documents';
import type { Device, ICatalog, IEnvironment, IImage, IMachine } from '../src/restapi';

function image(tag: string, tensorflow: string, device: Device, python: string): IImage {
  return {
    reference: `tensorflow/tensorflow:${tag}`,
    tensorflow,
    device,
    python,
    jupyter: true,
    cuda: null,
    cudnn: null,
    minimum_driver: null,
    verdict: { word: 'works', reasons: [] }
  };
}

const CATALOG: ICatalog = {
  images: [
    image('1.2.1', '1.2.1', 'cpu', '2.7'),
    image('1.2.1-py3', '1.2.1', 'cpu', '3.5'),
    image('1.2.1-gpu', '1.2.1', 'gpu', '2.7'),
    image('1.2.1-gpu-py3', '1.2.1', 'gpu', '3.5'),
    image('1.10.0', '1.10.0', 'cpu', '3.5'),
    image('1.9.0', '1.9.0', 'gpu', '2.7')
  ],
  best: { cpu: 'tensorflow/tensorflow:1.10.0', gpu: 'tensorflow/tensorflow:1.2.1-gpu-py3' }
};
const MACHINE: IMachine = {
  architecture: 'x86_64',
  avx: true,
  driver: null,
  problem: null,
  cards: []
};
const CARD = {
  index: 0,
  uuid: 'GPU-1',
  name: 'K80',
  compute_capability: [3, 7],
  memory: 1
} as const;
const ENVIRONMENT: IEnvironment = {
  name: 'mine',
  display_name: 'Mine',
  own: true,
  hidden: false,
  image: 'registry:5000/tf:1',
  gpus: ['0', 'GPU-1'],
  memory: 4 * 2 ** 30,
  cpus: 1.5,
  shm_size: 2 ** 30,
  network: 'none',
  pull_policy: 'never',
  user: 'root',
  mounts: [{ source: '/data', target: '/in', read_only: true }],
  ports: [6006],
  preload: ['numpy'],
  standby: 2,
  env: ['KEPT', 'GONE'],
  catalog: null,
  verdict: null
};

describe('the catalog', () => {
  it('has its releases in the order of their numbers', () => {
    expect(releases(CATALOG)).toEqual(['1.10.0', '1.9.0', '1.2.1']);
  });

  it('has Python 3 before 2', () => {
    expect(candidates(CATALOG, '1.2.1', 'cpu').map(each => each.python)).toEqual(['3.5', '2.7']);
    expect(devices(CATALOG, '1.9.0')).toEqual(['gpu']);
  });

  it('offers what is best for the cards, or for the processor where there are none', () => {
    expect(best(CATALOG, MACHINE)?.tensorflow).toBe('1.10.0');
    const cards = [{ ...CARD, compute_capability: [3, 7] as [number, number] }];
    expect(best(CATALOG, { ...MACHINE, cards })).toEqual({
      tensorflow: '1.2.1',
      device: 'gpu',
      reference: 'tensorflow/tensorflow:1.2.1-gpu-py3'
    });
  });

  it('keeps of a choice what there is', () => {
    const two = choose(CATALOG, null, '1.2.1', 'cpu');
    const python2 = two && { ...two, reference: 'tensorflow/tensorflow:1.2.1' };
    expect(choose(CATALOG, python2, '1.2.1', 'gpu')?.reference).toBe(
      'tensorflow/tensorflow:1.2.1-gpu'
    );
    expect(choose(CATALOG, python2, '1.9.0', 'cpu')?.device).toBe('gpu');
  });
});

describe('the form', () => {
  it('says only what is not as it is anyway', () => {
    const choice = choose(CATALOG, null, '1.2.1', 'gpu');
    expect(fieldsOf({ ...EMPTY, choice }, null)).toEqual({
      config: { image: 'tensorflow/tensorflow:1.2.1-gpu-py3', gpus: 'all' },
      env: {}
    });
    expect(
      fieldsOf({ ...EMPTY, choice: choose(CATALOG, null, '1.2.1', 'cpu') }, null).config
    ).toEqual({ image: 'tensorflow/tensorflow:1.2.1-py3' });
  });

  it('passes on what is no number, for the server to refuse', () => {
    const { config } = fieldsOf({ ...EMPTY, image: 'i', cpus: 'all', ports: '80, x' }, null);
    expect(config).toMatchObject({ cpus: 'all', ports: [80, 'x'] });
  });

  it('has an environment in it, and gives it back', () => {
    const form = formOf(ENVIRONMENT);
    expect(form.memory).toBe('4g');
    expect(fieldsOf(form, ENVIRONMENT)).toEqual({
      display_name: 'Mine',
      config: {
        image: 'registry:5000/tf:1',
        gpus: ['0', 'GPU-1'],
        memory: '4g',
        cpus: 1.5,
        shm_size: null,
        network: 'none',
        pull_policy: 'never',
        user: 'root',
        mounts: [{ source: '/data', target: '/in', read_only: true }],
        ports: [6006],
        preload: ['numpy'],
        standby: 2
      },
      env: {}
    });
  });

  it('takes away what is emptied', () => {
    const form = { ...formOf(ENVIRONMENT), memory: '', mounts: '', gpus: 'none', user: 'me' };
    expect(fieldsOf(form, ENVIRONMENT).config).toMatchObject({
      memory: null,
      mounts: null,
      gpus: null,
      user: null
    });
  });

  it('keeps a variable that is named, sets one with a value, and takes away the others', () => {
    const form = { ...formOf(ENVIRONMENT), env: 'KEPT\nNEW=a=b' };
    expect(fieldsOf(form, ENVIRONMENT).env).toEqual({ NEW: 'a=b', GONE: null });
  });
});

describe('the name of a kernelspec', () => {
  it('is made of the one in the launcher', () => {
    expect(copyName('TF 1.2.1 GPU (copy)', new Set())).toBe('tf-1.2.1-gpu-copy');
    expect(copyName('数据', new Set())).toBe('environment');
    expect(copyName('-.x', new Set())).toBe('x');
  });

  it('is another one if it is taken', () => {
    expect(copyName('TF', new Set(['tf', 'tf-2']))).toBe('tf-3');
  });
});
