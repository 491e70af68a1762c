import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** What can be asked of the server. */
export class RestAPI {
  constructor(readonly settings: ServerConnection.ISettings) {}

  /** The images of a release, each with its verdict on this machine. */
  async release(tensorflow: string): Promise<ICatalog> {
    return (await this._ask(`catalog?${new URLSearchParams({ tensorflow })}`)) as ICatalog;
  }

  /** Make the environment of a release. */
  async createEnvironment(tensorflow: string, device: Device): Promise<IEnvironment> {
    const init = { method: 'POST', body: JSON.stringify({ tensorflow, device }) };
    return (await this._ask('environments', init)) as IEnvironment;
  }

  /**
   * Ask the server.
   *
   * @throws RequestError with the server's sentence.
   */
  private async _ask(path: string, init: RequestInit = {}): Promise<unknown> {
    const url = URLExt.join(this.settings.baseUrl, 'api/tfcontainer', path);
    const response = await ServerConnection.makeRequest(url, init, this.settings);
    const failure = `${String(response.status)} ${response.statusText}`;
    const text = await response.text();
    let model: unknown;
    try {
      model = JSON.parse(text);
    } catch {
      // A server without the extension answers with a page.
      throw new RequestError(failure);
    }
    if (!response.ok) {
      const { message } = model as { message?: unknown };
      throw new RequestError(typeof message === 'string' ? message : failure);
    }
    return model;
  }
}

/** The server refused, or could not be understood. */
export class RequestError extends Error {}

export type Device = 'cpu' | 'gpu';

export interface IImage {
  reference: string;
  verdict: {
    word: 'works' | 'warns' | 'cannot';
    /** The gravest first; English sentences. */
    reasons: { sentence: string }[];
  };
}

export interface ICatalog {
  images: IImage[];
  /** The reference of the image to prefer. */
  best: Record<Device, string | null>;
}

export interface IEnvironment {
  name: string;
  display_name: string;
}
