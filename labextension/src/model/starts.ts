import type { IContainer } from '../restapi';
import type { IKernelStarting } from '../tokens';

/** Whether a kernel that starts waits for its image. */
export function pullsForStart(starting: ReadonlyMap<string, IKernelStarting>): boolean {
  return [...starting.values()].some(each => each.step === 'pull');
}

/** The starts of which no container tells: a restart has one, and so has a kernel that is being launched. */
export function unlisted(
  starting: ReadonlyMap<string, IKernelStarting>,
  containers: readonly IContainer[] | null
): IKernelStarting[] {
  const listed = new Set(containers?.flatMap(({ id, kernel }) => (kernel ? [id, kernel.id] : id)));
  return [...starting.values()].filter(
    ({ container, kernel_id }) => !listed.has(kernel_id) && !(container && listed.has(container))
  );
}

/** Whether a kernel is being launched in a container. */
export function launches(
  starting: ReadonlyMap<string, IKernelStarting>,
  container: string
): boolean {
  return [...starting.values()].some(each => each.container === container);
}
