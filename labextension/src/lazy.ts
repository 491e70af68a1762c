import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ITranslator } from '@jupyterlab/translation';

import type { Alternatives } from './suggestions/alternatives';
import type { RestAPI } from './restapi';

/**
 * Make something when it is first asked for: what is loaded from a file of its own takes no part of JupyterLab's start.
 *
 * @param make Makes it; asked again if it could not.
 */
export function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make().catch((reason: unknown) => {
      made = null;
      throw reason;
    });
    return made;
  };
}

/** What leads from an environment that cannot run to one that can. */
export async function loadAlternatives(
  app: JupyterFrontEnd,
  api: RestAPI,
  translator: ITranslator
): Promise<Alternatives> {
  const { commands, serviceManager } = app;
  const [{ Alternatives }, { Texts }] = await Promise.all([
    import('./suggestions/alternatives'),
    import('./texts')
  ]);
  return new Alternatives({
    api,
    kernelspecs: serviceManager.kernelspecs,
    texts: new Texts(translator),
    newNotebook: kernelName =>
      commands.execute('notebook:create-new', { kernelName, activate: true })
  });
}
