import type { IOperation } from '../restapi';

/**
 * What goes on with images, by its id; what is done, until its image is among those; and what failed, until a person
 * has taken note of it.
 */
export class Operations {
  readonly all = new Map<string, IOperation>();

  /** Take what an event says of an operation. */
  apply(operation: IOperation): void {
    const { id, state } = operation;
    this._told.add(id);
    if (state === 'cancelled') {
      this.all.delete(id);
    } else {
      this.all.set(id, operation);
    }
  }

  /** Drop an operation that has failed. */
  forget(id: string): void {
    this.all.delete(id);
    this._told.add(id);
  }

  /**
   * Ask the server for all of them, beside its images.
   *
   * @param ask Asks for both at the same time.
   * @returns The images, and whether they are to be asked for again: an image may be newer than they are.
   */
  async read<T>(ask: () => Promise<[T, IOperation[]]>): Promise<{ images: T; again: boolean }> {
    const known = new Map(this.all);
    this._told.clear();
    const [images, operations] = await ask();
    const answered = new Map(operations.map(each => [each.id, each]));
    let again = false;
    for (const id of new Set([...known.keys(), ...answered.keys()])) {
      // What has been told meanwhile is newer than the answer.
      if (!this._told.has(id)) {
        again = this._take(id, known.get(id), answered.get(id)) || again;
      }
    }
    return { images, again };
  }

  /**
   * Take what the server says of an operation, beside the images: once it was done before that, its image is there.
   *
   * @returns Whether its image is perhaps not among the images of this answer.
   */
  private _take(id: string, known: IOperation | undefined, said: IOperation | undefined): boolean {
    // What ended before anybody looked is old news.
    const news = said?.state === 'running' || (known && said?.state !== 'cancelled');
    if (!said || !news || known?.state === 'done') {
      this.all.delete(id);
      return false;
    }
    this.all.set(id, said);
    return said.state === 'done';
  }

  /** Of which operations there was news while the server was asked for all. */
  private readonly _told = new Set<string>();
}
