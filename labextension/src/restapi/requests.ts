import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** The server refused, or could not be understood. */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly status: number
  ) {
    super(message);
  }
}

/** Sends requests to the extension's REST API, and reads the answers. */
export class Requests {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  post<T>(path: string, body?: unknown): Promise<T> {
    return this.ask(path, { method: 'POST', body: JSON.stringify(body ?? {}) });
  }

  /**
   * Ask the server.
   *
   * @throws RequestError with the server's sentence.
   */
  async ask<T>(path: string, init: RequestInit = {}): Promise<T> {
    const response = await this._send(path, init);
    const failure = status(response);
    const text = await response.text();
    if (response.ok && text === '') {
      return undefined as T;
    }
    let model: unknown;
    try {
      model = JSON.parse(text);
    } catch {
      // A server without the extension answers with a page.
      throw new RequestError(failure, response.status);
    }
    if (!response.ok) {
      const { message } = model as { message?: unknown };
      throw new RequestError(typeof message === 'string' ? message : failure, response.status);
    }
    return model as T;
  }

  /**
   * Read an answer that comes bit by bit, until it ends.
   *
   * @param path What is asked for.
   * @param take Gets each piece of text.
   * @param signal Ends it earlier.
   */
  async follow(path: string, take: (text: string) => void, signal: AbortSignal): Promise<void> {
    const response = await this._send(path, { signal });
    if (!response.ok || !response.body) {
      throw new RequestError(status(response), response.status);
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      take(value);
    }
  }

  private _send(path: string, init: RequestInit): Promise<Response> {
    const url = URLExt.join(this._settings.baseUrl, 'api/tfcontainer', path);
    return ServerConnection.makeRequest(url, init, this._settings);
  }
}

function status(response: Response): string {
  return `${String(response.status)} ${response.statusText}`;
}
