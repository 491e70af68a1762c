import type { ICardUse, IContainer, IStats } from '../restapi';
import { Figures } from './figures';

/** What containers use and cards do, while somebody looks. */
export class LiveFigures {
  /** What containers use, by their ids. */
  readonly containers = new Map<string, Figures>();

  /** What the cards do, by their UUIDs. */
  readonly cards = new Map<string, ICardUse>();

  /** Forget all: a graph has no gaps. */
  clear(): void {
    this.containers.clear();
    this.cards.clear();
  }

  /** Take what each card does now. */
  takeCards(uses: readonly ICardUse[]): void {
    this.cards.clear();
    for (const each of uses) {
      this.cards.set(each.uuid, each);
    }
  }

  /**
   * Take what each container uses now.
   *
   * @param stats It.
   * @param listed The containers that are known.
   * @returns Whether those are the ones that run.
   */
  takeStats(stats: readonly IStats[], listed: readonly IContainer[] | null): boolean {
    for (const each of stats) {
      const figures = this.containers.get(each.id) ?? new Figures();
      figures.add(each);
      this.containers.set(each.id, figures);
    }
    const known = listed?.filter(each => each.state !== 'ended').map(each => each.id);
    const running = new Set(stats.map(each => each.id));
    for (const id of this.containers.keys()) {
      if (!running.has(id)) {
        this.containers.delete(id);
      }
    }
    return known?.length === running.size && known.every(id => running.has(id));
  }
}
