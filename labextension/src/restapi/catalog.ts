export type Device = 'cpu' | 'gpu';

export interface IVerdict {
  word: 'works' | 'warns' | 'cannot';
  /** The gravest first; English sentences. */
  reasons: { sentence: string }[];
}

export interface IKnownImage {
  reference: string;
  tensorflow: string | null;
  device: Device;
  python: string | null;
  jupyter: boolean | null;
  cuda: { version: string } | null;
  cudnn: string | null;
  minimum_driver: string | null;
}

export interface IImage extends IKnownImage {
  verdict: IVerdict;
}

export interface ICatalog {
  images: IImage[];
  /** The reference of the image to prefer. */
  best: Record<Device, string | null>;
}
