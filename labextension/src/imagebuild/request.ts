import type { IBuild } from '../restapi';
import { copyName } from '../documents';

/** What is filled in where an image is built. */
export interface IBuildForm {
  from: 'packages' | 'dockerfile';
  /** The name of the image that packages are put into. */
  base: string;
  apt: string;
  pip: string;
  /** Its path in the workspace, or its folder's. */
  dockerfile: string;
  /** What the image is to be called; the server knows a name for one without. */
  reference: string;
  /** Whether it gets an environment. */
  environment: boolean;
  displayName: string;
  gpus: boolean;
}

export const EMPTY: IBuildForm = {
  from: 'packages',
  base: '',
  apt: '',
  pip: '',
  dockerfile: 'Dockerfile',
  reference: '',
  environment: true,
  displayName: '',
  gpus: false
};

/** The packages in a text: between spaces or on lines, with or without spaces around what compares versions. */
export function packages(text: string): string[] {
  return text
    .replace(/\s*(===|[<>=!~]=|[<>@;,])\s*/g, '$1')
    .split(/\s+/)
    .filter(each => each !== '');
}

/** Whether there is enough to ask the server. */
export function isComplete(form: IBuildForm): boolean {
  const source =
    form.from === 'dockerfile'
      ? form.dockerfile.trim() !== ''
      : form.base.trim() !== '' && packages(form.apt + '\n' + form.pip).length > 0;
  return source && (!form.environment || form.displayName.trim() !== '');
}

/**
 * What the server is asked for.
 *
 * @param form As it was filled in.
 * @param taken The names of the environments that there are.
 */
export function buildOf(form: IBuildForm, taken: ReadonlySet<string>): IBuild {
  const reference = form.reference.trim();
  const displayName = form.displayName.trim();
  return {
    ...(form.from === 'dockerfile'
      ? { dockerfile: form.dockerfile.trim() }
      : { base: form.base.trim(), apt: packages(form.apt), pip: packages(form.pip) }),
    ...(reference && { reference }),
    ...(form.environment && {
      environment: {
        name: copyName(displayName, taken),
        display_name: displayName,
        ...(form.gpus && { gpus: 'all' })
      }
    })
  };
}

/** A sentence of the server's on what failed, the line of the Dockerfile that did, and what was printed last. */
export function failure(message: string): {
  sentence: string;
  line: string | null;
  lines: string;
} {
  const [sentence = '', ...lines] = message.split('\n');
  return {
    sentence: sentence.replace(/ ?Its last lines:$/, ''),
    line: / at step \d+ of \d+, `(.*)`: /.exec(sentence)?.[1] ?? null,
    lines: lines.filter(line => line !== 'Its last lines:').join('\n')
  };
}

/** A file name for an image. */
export function archiveName(reference: string): string {
  const name = reference
    .replace(/^.*\//, '')
    .replace(/[^\w.-]+/g, '-')
    .replace(/^[.-]+/, '');
  return `${name || 'image'}.tar`;
}
