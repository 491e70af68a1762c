import type { Event, Session } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type {
  AnyEnvironment,
  Engine,
  IContainer,
  IEngine,
  IEngineImage,
  IMachine,
  IOperation,
  IStats,
  RestAPI
} from '../restapi';
import { RequestError } from '../restapi';
import { ENVIRONMENTS, type IKernelStarting, OPERATION, parseKernelEvent } from '../tokens';
import { LiveFigures } from './livefigures';
import { Operations } from './operations';
import { launches, pullsForStart, unlisted } from './starts';

/** Milliseconds between two looks at what containers use, unless the settings say otherwise: sixty make a graph. */
const INTERVAL = 2000;

/** Milliseconds between two looks after some that failed. */
const LONGEST_INTERVAL = 15000;

/** Milliseconds after which all is asked anew, in case an event was lost. */
const OLD = 60000;

/** What the snapshot is made of. */
type Part = 'engine' | 'machine' | 'cards' | 'environments' | 'containers' | 'images';
const PARTS: readonly Part[] = ['engine', 'machine', 'environments', 'containers', 'images'];

/**
 * What the panel shows: a snapshot, asked for when somebody looks and after the server was away, kept up to date by
 * events; and live figures, asked for while somebody looks.
 */
export class PanelModel implements IDisposable {
  constructor(options: PanelModel.IOptions) {
    this._api = options.api;
    this._sessions = options.sessions;
    this._events = options.events;
    this._events.connect((_, emission) => {
      this._onEvent(emission);
    }, this);
    this._sessions.runningChanged.connect(() => {
      this._onSessions();
    }, this);
    this._poll = new Poll({
      name: 'jupyter-tfcontainer:figures',
      auto: false,
      factory: () => this._tick(),
      frequency: { interval: INTERVAL, backoff: 2, max: LONGEST_INTERVAL },
      standby: 'when-hidden'
    });
  }

  /** Null until it is known. */
  engine: Engine | null = null;
  machine: IMachine | null = null;
  environments: AnyEnvironment[] | null = null;

  /** Null until they are known, and while no engine answers. */
  containers: IContainer[] | null = null;
  images: IEngineImage[] | null = null;

  /** Why the server does not answer, or does not let us. */
  problem: Error | null = null;

  /** Kernels that start, by their ids. */
  readonly starting = new Map<string, IKernelStarting>();

  /** What is being done, by the container's id or the environment's name. */
  readonly busy = new Map<string, string>();

  /** What goes on with images, by its id. */
  get operations(): Operations['all'] {
    return this._operations.all;
  }

  /** What containers use, by their ids. */
  get figures(): LiveFigures['containers'] {
    return this._live.containers;
  }

  /** What the cards do, by their UUIDs. */
  get cards(): LiveFigures['cards'] {
    return this._live.cards;
  }

  /** Emitted when anything but a figure has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when an operation begins, gets on or ends. */
  get operated(): ISignal<this, IOperation> {
    return this._operated;
  }

  /** Whether a kernel that starts waits for its image. */
  get pullsForStart(): boolean {
    return pullsForStart(this.starting);
  }

  /** The starts of which no container tells: a restart has one, and so has a kernel that is being launched. */
  get unlisted(): IKernelStarting[] {
    return unlisted(this.starting, this.containers);
  }

  /** Whether a kernel is being launched in a container. */
  launches(container: string): boolean {
    return launches(this.starting, container);
  }

  /** Whether an environment's image is here; null where that is not known. */
  isHere(environment: string): boolean | null {
    return this.images?.some(each => each.used_by.environments.includes(environment)) ?? null;
  }

  /** Drop an operation that has failed. */
  forget(operation: string): void {
    this._operations.forget(operation);
    this._changed.emit();
  }

  /** Emitted when figures have. */
  get figuresChanged(): ISignal<this, void> {
    return this._figuresChanged;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /**
   * Say how often to look while somebody does.
   *
   * @param seconds Between two looks.
   * @param figures Whether to ask for what containers use as well.
   */
  setLive(seconds: number, figures: boolean): void {
    this._figuresWanted = figures;
    if (!figures) {
      this.figures.clear();
      this._figuresChanged.emit();
    }
    const interval = Math.min(seconds * 1000, LONGEST_INTERVAL);
    this._poll.frequency = { interval, backoff: 2, max: LONGEST_INTERVAL };
  }

  /** The engine, if there is one. */
  get ready(): IEngine | null {
    return this.engine?.state === 'ready' ? this.engine : null;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._poll.dispose();
      Signal.clearData(this);
    }
  }

  /** Keep all up to date until what comes back is disposed of. */
  watch(): IDisposable {
    this._watchers += 1;
    if (this._watchers === 1) {
      if (this._stale) {
        void this.refresh();
      }
      void this._poll.start();
    }
    return new DisposableDelegate(() => {
      this._watchers -= 1;
      if (this._watchers === 0) {
        // Nobody keeps them while nobody looks, and a graph has no gaps.
        this._live.clear();
        void this._poll.stop();
      }
    });
  }

  /** Take notice that the server is away: it tells nothing of what happens meanwhile. */
  lost(): void {
    this._stale = true;
    this.starting.clear();
  }

  /** Ask the server anew; all, or some parts. */
  refresh(...parts: Part[]): Promise<void> {
    for (const part of parts.length > 0 ? parts : PARTS) {
      this._wanted.add(part);
    }
    this._reading ??= this._read().finally(() => {
      this._reading = null;
    });
    return this._reading;
  }

  /** Ask anew now if somebody looks, else when somebody does. */
  outdated(...parts: Part[]): void {
    if (this._watchers > 0) {
      void this.refresh(...parts);
    } else {
      this._stale = true;
      this._staled.emit();
    }
  }

  /** Whether what is known may be old, as nobody keeps it up to date. */
  get isStale(): boolean {
    return this._stale;
  }

  /** Emitted when what is known has become old while nobody kept it up to date. */
  get staled(): ISignal<this, void> {
    return this._staled;
  }

  /** The session whose kernel is in a container. */
  session(container: IContainer): Session.IModel | undefined {
    return container.kernel
      ? [...this._sessions.running()].find(each => each.kernel?.id === container.kernel?.id)
      : undefined;
  }

  /**
   * Do something that shows at its row until it is done.
   *
   * @param key The container's id or the environment's name.
   * @param what What is being done, in words.
   * @param work It.
   */
  async during<T>(key: string, what: string, work: () => Promise<T>): Promise<T> {
    this.busy.set(key, what);
    this._changed.emit();
    try {
      return await work();
    } finally {
      this.busy.delete(key);
      await this.refresh('environments', 'containers', 'images');
    }
  }

  private async _read(): Promise<void> {
    while (this._wanted.size > 0 && !this._isDisposed) {
      const wanted = new Set(this._wanted);
      this._wanted.clear();
      if (wanted.size === PARTS.length) {
        this._stale = false;
        this._whole = Date.now();
      }
      try {
        await this._readParts(wanted);
        this.problem = null;
      } catch (error) {
        this._stale = true;
        this.problem = error as Error;
      }
      // To nobody, if it has been disposed of.
      this._changed.emit();
    }
  }

  private async _readParts(wanted: ReadonlySet<Part>): Promise<void> {
    const api = this._api;
    const others = Promise.all([
      wanted.has('machine') ? api.machine() : this.machine,
      wanted.has('environments') ? api.environments() : this.environments
    ]);
    // Nothing is asked of an engine that is not there.
    const engine = wanted.has('engine') || !this.ready ? await api.engine() : this.ready;
    const containers =
      engine.state === 'missing'
        ? null
        : wanted.has('containers') || !this.containers || !this.ready
          ? await api.containers()
          : this.containers;
    const images =
      engine.state === 'missing'
        ? null
        : wanted.has('images') || !this.images || !this.ready
          ? await this._readImages()
          : this.images;
    [this.machine, this.environments] = await others;
    this.images = images;
    this.engine = engine;
    this.containers = containers;
    if (!containers) {
      // A graph has no gaps.
      this.figures.clear();
    }
  }

  private async _readImages(): Promise<IEngineImage[]> {
    const { images, again } = await this._operations.read(() =>
      Promise.all([this._api.images(), this._api.operations()])
    );
    if (again) {
      this._wanted.add('images');
    }
    return images;
  }

  private async _tick(): Promise<void> {
    if (this._stale || Date.now() - this._whole > OLD) {
      await this.refresh();
      if (this.problem) {
        // The next look comes later.
        throw this.problem;
      }
      return;
    }
    try {
      await this._lookAtCards();
      const engine = await this._api.engine();
      if (engine.state === 'missing' || !this.ready) {
        if (engine.state !== this.engine?.state) {
          await this.refresh('engine', 'containers', 'images');
        }
        return;
      }
      if (this._figuresWanted) {
        this._note(await this._api.stats());
      }
    } catch (error) {
      this._stale = true;
      if (!(error instanceof RequestError)) {
        this.problem = error as Error;
        this._changed.emit();
      }
      throw error;
    }
  }

  /** They are this machine's, whether there is an engine or not. */
  private async _lookAtCards(): Promise<void> {
    const uses = this.machine?.cards.length ? await this._api.cards() : [];
    this._live.takeCards(uses);
    if (uses.length > 0) {
      this._figuresChanged.emit();
    }
  }

  private _note(stats: IStats[]): void {
    if (!this._live.takeStats(stats, this.containers)) {
      // Some came or went that no event told of: they were started ahead, or elsewhere. Or the engine did.
      void this.refresh('engine', 'containers', 'images');
    }
    this._figuresChanged.emit();
  }

  private _onEvent(emission: Event.Emission): void {
    if (emission.schema_id === ENVIRONMENTS) {
      this.outdated('environments', 'images');
      return;
    }
    if (emission.schema_id === OPERATION) {
      this._onOperation(emission as unknown as IOperation);
      return;
    }
    const event = parseKernelEvent(emission);
    if (event?.state === 'starting') {
      this.starting.set(event.kernel_id, event);
      this._changed.emit();
    } else if (event) {
      this.starting.delete(event.kernel_id);
      this.outdated('containers', 'images');
    }
  }

  private _onOperation(operation: IOperation): void {
    this._operations.apply(operation);
    this._operated.emit(operation);
    this._changed.emit();
    if (operation.state === 'done') {
      this.outdated('images');
    }
  }

  private _onSessions(): void {
    // A session that is no more may have been a container.
    if (this.containers?.some(each => each.kernel) || this.starting.size > 0) {
      this.outdated('containers', 'images');
    }
  }

  private readonly _api: PanelModel.IOptions['api'];
  private readonly _sessions: PanelModel.IOptions['sessions'];
  private readonly _events: Event.Stream;
  private readonly _poll: Poll;
  private readonly _wanted = new Set<Part>();
  private readonly _operations = new Operations();
  private readonly _live = new LiveFigures();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _operated = new Signal<this, IOperation>(this);
  private readonly _staled = new Signal<this, void>(this);
  private readonly _figuresChanged = new Signal<this, void>(this);
  private _reading: Promise<void> | null = null;
  private _figuresWanted = true;
  private _isDisposed = false;
  private _stale = true;
  /** When all was asked for. */
  private _whole = 0;
  private _watchers = 0;
}

export namespace PanelModel {
  export interface IOptions {
    api: Pick<
      RestAPI,
      | 'engine'
      | 'machine'
      | 'cards'
      | 'environments'
      | 'containers'
      | 'images'
      | 'operations'
      | 'stats'
    >;
    events: Event.Stream;
    sessions: Pick<Session.IManager, 'runningChanged'> & {
      running: () => Iterable<Session.IModel>;
    };
  }
}
