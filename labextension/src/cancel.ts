import type { RestAPI } from './restapi';

/**
 * Cancel what the start of a kernel waits for: that its image is pulled or prepared. The start fails with it.
 *
 * @param api Asks the server.
 * @param environment The name of the kernel's environment.
 */
export async function cancelStart(
  api: Pick<RestAPI, 'environments' | 'operations' | 'cancelOperation'>,
  environment: string
): Promise<void> {
  const [environments, operations] = await Promise.all([api.environments(), api.operations()]);
  const found = environments.find(each => each.name === environment);
  const image = found && 'image' in found ? found.image : undefined;
  await Promise.all(
    operations
      .filter(
        ({ kind, reference, state }) =>
          state === 'running' && (kind === 'pull' || kind === 'prepare') && reference === image
      )
      .map(({ id }) => api.cancelOperation(id))
  );
}
