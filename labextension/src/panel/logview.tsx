import { MainAreaWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { downloadIcon, ReactWidget, refreshIcon, ToolbarButton } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { LogView } from '../logdialog';
import { download } from '../documents';
import { logIcon } from '../components/icons';

/** More than this is not kept in the page: what comes first goes first. */
const LONGEST = 4_000_000;

export interface ILogOptions {
  /** Of the widget. */
  id: string;
  /** What it is the log of, for the file that it is saved to. */
  displayName: string;
  title: string;
  trans: TranslationBundle;
  /** What is said once it has ended. */
  ended: string;
  /** Read the log until it ends, or the signal is given. */
  follow: (take: (text: string) => void, signal: AbortSignal) => Promise<void>;
}

/** The log of a container or an operation, in the main area: it follows, can be searched, and saved. */
export class LogPanel extends MainAreaWidget<FollowedLog> {
  constructor(options: ILogOptions) {
    const { trans, displayName, id, title } = options;
    const content = new FollowedLog(options);
    super({ content });
    this.id = id;
    this.title.label = title;
    this.title.icon = logIcon;
    this.title.closable = true;
    this.toolbar.addItem('search', new Search(trans, content));
    this.toolbar.addItem(
      'again',
      new ToolbarButton({
        icon: refreshIcon,
        tooltip: trans.__('Read it again'),
        onClick: () => {
          content.read();
        }
      })
    );
    this.toolbar.addItem(
      'save',
      new ToolbarButton({
        icon: downloadIcon,
        tooltip: trans.__('Save'),
        onClick: () => {
          download(`${displayName}.log`, content.text, 'text/plain');
        }
      })
    );
  }
}

/** The lines, and how it stands with them. */
export class FollowedLog extends Widget {
  constructor(private readonly _options: ILogOptions) {
    super();
    this.addClass('jp-tfcontainer-FollowedLog');
    this._view = new LogView(_options.title, '');
    this._status.setAttribute('role', 'status');
    this._status.className = 'jp-tfcontainer-LogStatus';
    this.node.append(this._view.node, this._status);
  }

  /** All that is known of it. */
  get text(): string {
    return this._text;
  }

  /** Show only lines with a text in them; all if it is empty. */
  set search(search: string) {
    this._search = search.toLowerCase();
    this._show();
  }

  override dispose(): void {
    this._abort.abort();
    this._view.dispose();
    super.dispose();
  }

  /** Read it from the beginning. */
  read(): void {
    const { trans, follow, ended } = this._options;
    this._abort.abort();
    const abort = new AbortController();
    this._abort = abort;
    this._text = '';
    this._end = '';
    this._show();
    follow(text => {
      if (!abort.signal.aborted) {
        this._text = (this._text + text).slice(-LONGEST);
        this._soon();
      }
    }, abort.signal).then(
      () => {
        this._ended(abort, ended);
      },
      (error: unknown) => {
        this._ended(abort, trans.__('The log cannot be read: %1', (error as Error).message));
      }
    );
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.read();
  }

  private _ended(abort: AbortController, how: string): void {
    if (!abort.signal.aborted) {
      this._end = how;
      this._show();
    }
  }

  /** Show what came, once for all that comes in one frame. */
  private _soon(): void {
    this._frame ??= requestAnimationFrame(() => {
      this._show();
    });
  }

  private _show(): void {
    if (this._frame !== null) {
      cancelAnimationFrame(this._frame);
      this._frame = null;
    }
    const { trans } = this._options;
    const lines = this._search
      ? this._text.split('\n').filter(line => line.toLowerCase().includes(this._search))
      : null;
    this._view.setLines(lines ? lines.join('\n') : this._text);
    this._status.textContent = [
      ...(lines ? [trans._n('%1 line', '%1 lines', lines.length)] : []),
      this._end || trans.__('Follows')
    ].join(' · ');
  }

  private readonly _view: LogView;
  private readonly _status = document.createElement('div');
  private _abort = new AbortController();
  private _frame: number | null = null;
  private _text = '';
  private _end = '';
  private _search = '';
}

/** Where the search is typed. */
class Search extends ReactWidget {
  constructor(
    private readonly _trans: TranslationBundle,
    private readonly _log: FollowedLog
  ) {
    super();
    this.addClass('jp-tfcontainer-Search');
  }

  protected override render(): React.JSX.Element {
    return (
      <input
        className="jp-mod-styled"
        type="search"
        placeholder={this._trans.__('Find lines')}
        aria-label={this._trans.__('Find lines')}
        onChange={event => {
          this._log.search = event.target.value;
        }}
      />
    );
  }
}
