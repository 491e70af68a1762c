export interface IProgress {
  bytes: number;
  /** Grows until `final`. */
  total: number | null;
  final: boolean;
  layers_done: number;
  layers: number;
  phase: string;
  seconds_left: number | null;
}

/** Something long on an image. */
export interface IOperation {
  id: string;
  kind: 'pull' | 'prepare' | 'build' | 'snapshot' | 'load' | 'save';
  reference: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  message: string;
  progress: IProgress | null;
}

/** The same with what it printed. */
export interface IOperationLog extends IOperation {
  /** The last lines. */
  log: string[];
  /** How many there have been. */
  lines: number;
}
