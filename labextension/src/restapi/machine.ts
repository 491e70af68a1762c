export interface ICard {
  index: number;
  uuid: string;
  name: string;
  compute_capability: [number, number];
  /** In bytes. */
  memory: number;
}

/** What the driver does not tell is null. */
export interface ICardUse {
  uuid: string;
  /** In bytes, whoever uses them. */
  memory: number | null;
  memory_total: number | null;
  /** From 0 to 1. */
  utilization: number | null;
}

export interface IMachine {
  architecture: string;
  /** Null where that is not known. */
  avx: boolean | null;
  driver: string | null;
  /** Why the cards could not be read. */
  problem: string | null;
  cards: ICard[];
}
