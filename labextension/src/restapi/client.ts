import type { ServerConnection } from '@jupyterlab/services';
import type { PartialJSONObject } from '@lumino/coreutils';

import type { Device, ICatalog } from './catalog';
import type { IContainer, IOutput, IPort, IStats } from './containers';
import type { IDisk } from './disk';
import type { Engine } from './engine';
import type { AnyEnvironment, IDraft, IEnvironment, IFields } from './environments';
import type { IBuild, IEngineImage } from './images';
import type { ICardUse, IMachine } from './machine';
import type { IOperation, IOperationLog } from './operations';
import { Requests } from './requests';

/** What can be asked of the server. Names and fields are those of `openapi.yaml`. */
export class RestAPI {
  constructor(settings: ServerConnection.ISettings) {
    this._server = new Requests(settings);
  }

  engine(): Promise<Engine> {
    return this._server.ask('engine');
  }

  machine(): Promise<IMachine> {
    return this._server.ask('machine');
  }

  /** What each card does at this time. */
  cards(): Promise<ICardUse[]> {
    return this._server.ask('machine/cards');
  }

  catalog(): Promise<ICatalog> {
    return this._server.ask('catalog');
  }

  /** The images of a release, each with its verdict on this machine. */
  release(tensorflow: string): Promise<ICatalog> {
    return this._server.ask(`catalog?${String(new URLSearchParams({ tensorflow }))}`);
  }

  environments(): Promise<AnyEnvironment[]> {
    return this._server.ask('environments');
  }

  /** Make the environment of a release. */
  createEnvironment(tensorflow: string, device: Device): Promise<IEnvironment> {
    return this._server.post('environments', { tensorflow, device });
  }

  /** Make an environment as it is described. */
  makeEnvironment(name: string, fields: IFields): Promise<IEnvironment> {
    return this._server.post('environments', { name, ...fields });
  }

  /** Make an environment from an export. */
  importEnvironment(document: unknown): Promise<IEnvironment> {
    return this._server.post('environments', { document });
  }

  /** What would come of making or changing an environment. */
  draft(name: string, isNew: boolean, fields: IFields): Promise<IDraft> {
    return this._server.post('drafts', { name, new: isNew, ...fields });
  }

  changeEnvironment(name: string, change: IFields | { hidden: boolean }): Promise<IEnvironment> {
    return this._server.ask(`environments/${name}`, {
      method: 'PATCH',
      body: JSON.stringify(change)
    });
  }

  copyEnvironment(name: string, copy: string, displayName: string): Promise<IEnvironment> {
    return this._server.post(`environments/${name}/copy`, {
      name: copy,
      display_name: displayName
    });
  }

  exportEnvironment(name: string): Promise<PartialJSONObject> {
    return this._server.ask(`environments/${name}/export`);
  }

  /** Delete an environment, or hide one that is not the person's own. */
  deleteEnvironment(name: string): Promise<void> {
    return this._server.ask(`environments/${name}`, { method: 'DELETE' });
  }

  containers(): Promise<IContainer[]> {
    return this._server.ask('containers');
  }

  /** What each container uses at this time. */
  stats(): Promise<IStats[]> {
    return this._server.ask('containers/stats');
  }

  /**
   * Read a container's log until it ends.
   *
   * @param id The container's.
   * @param take Gets what was printed, as it comes.
   * @param signal Ends it earlier.
   */
  async followLog(id: string, take: (text: string) => void, signal: AbortSignal): Promise<void> {
    const path = `containers/${id}/logs?follow=true&tail=10000`;
    await this._server.follow(path, take, signal);
  }

  /** What the kernel in a container has said of late. */
  output(id: string): Promise<IOutput> {
    return this._server.ask(`containers/${id}/output`);
  }

  /** Open one of Jupyter's terminals in a container; its name comes back. */
  async openTerminal(id: string, root: boolean): Promise<string> {
    return (await this._server.post<{ name: string }>(`containers/${id}/terminals`, { root })).name;
  }

  /** The ports that a container's environment declares, and those at which somebody listens. */
  ports(id: string): Promise<IPort[]> {
    return this._server.ask(`containers/${id}/ports`);
  }

  /** Have TensorBoard run in a container, and wait until it listens. */
  tensorBoard(id: string, logdir: string): Promise<{ port: number; url: string }> {
    return this._server.post(`containers/${id}/tensorboard`, { logdir });
  }

  /** Start a container that the next kernel of its environment takes; with that one's home, or an empty one. */
  startAhead(environment: string, home: 'kept' | 'temporary' = 'kept'): Promise<IContainer> {
    return this._server.post('containers', { environment, home });
  }

  /** What takes room on the disk. It is counted for this answer. */
  disk(): Promise<IDisk> {
    return this._server.ask('disk');
  }

  /** Remove what is in the home of an environment. */
  resetHome(environment: string): Promise<void> {
    return this._server.ask(`disk/homes/${environment}`, { method: 'DELETE' });
  }

  /** Remove the folders that were left behind. */
  clearFolders(): Promise<void> {
    return this._server.ask('disk/folders', { method: 'DELETE' });
  }

  /** Restart the kernel of a container in a new one. */
  restartFresh(id: string): Promise<IContainer> {
    return this._server.post(`containers/${id}/restart-fresh`);
  }

  /** Remove a container, and its kernel with it. */
  removeContainer(id: string): Promise<void> {
    return this._server.ask(`containers/${id}`, { method: 'DELETE' });
  }

  images(): Promise<IEngineImage[]> {
    return this._server.ask('images');
  }

  /** Begin to pull an image. */
  pull(reference: string): Promise<IOperation> {
    return this._server.post('images', { source: 'pull', reference });
  }

  /** Begin to put ipykernel into an image. */
  prepare(reference: string): Promise<IOperation> {
    return this._server.post('images', { source: 'prepare', reference });
  }

  /** Begin to build an image. */
  build(build: IBuild): Promise<IOperation> {
    return this._server.post('images', { source: 'build', ...build });
  }

  /** Begin to read the images in a file of the workspace. */
  loadArchive(path: string): Promise<IOperation> {
    return this._server.post('images', { source: 'load', path });
  }

  /** Begin to write an image to a file of the workspace. */
  saveArchive(reference: string, path: string): Promise<IOperation> {
    return this._server.post('images', { source: 'save', reference, path });
  }

  /** Begin to make an image of what is in a container, and an environment of that. */
  snapshot(container: string, name: string, displayName: string): Promise<IOperation> {
    const environment = { name, display_name: displayName };
    return this._server.post('images', { source: 'snapshot', container, environment });
  }

  /** Remove an image or one of its names, also one that something would miss. */
  removeImage(reference: string, force: boolean): Promise<void> {
    const query = new URLSearchParams({ reference, force: String(force) });
    return this._server.ask(`images?${String(query)}`, { method: 'DELETE' });
  }

  operations(): Promise<IOperation[]> {
    return this._server.ask('operations');
  }

  /** One, with its log. */
  operation(id: string): Promise<IOperationLog> {
    return this._server.ask(`operations/${id}`);
  }

  cancelOperation(id: string): Promise<void> {
    return this._server.ask(`operations/${id}`, { method: 'DELETE' });
  }

  private readonly _server: Requests;
}
