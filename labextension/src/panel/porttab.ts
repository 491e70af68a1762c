import { MainAreaWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { IFrame, launchIcon, refreshIcon, ToolbarButton } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Message } from '@lumino/messaging';
import { PanelLayout, Widget } from '@lumino/widgets';

import { boardIcon, portIcon } from '../components/icons';

/** What is in a tab: TensorBoard on a folder of logs, or whatever is at a port. */
export interface IPortTabArgs extends ReadonlyPartialJSONObject {
  container: string;
  /** What a person calls the container. */
  name: string;
  port?: number;
  logdir?: string;
}

export interface IPortTabOptions {
  id: string;
  args: IPortTabArgs;
  trans: TranslationBundle;
  /**
   * Where it is, once somebody answers there.
   *
   * @throws Error with a sentence that says why nobody does.
   */
  reach: () => Promise<string>;
}

/** A program in a container, in the main area. */
export class PortTab extends MainAreaWidget<PortView> {
  constructor(options: IPortTabOptions) {
    const { id, args, trans } = options;
    const label =
      args.port === undefined
        ? trans.__('TensorBoard · %1', args.name)
        : trans.__('Port %1 · %2', args.port, args.name);
    const content = new PortView(options, label);
    super({ content });
    this.args = args;
    this.id = id;
    // All that are in the main area have the same otherwise.
    content.node.setAttribute('aria-label', label);
    this.title.label = label;
    this.title.caption = args.logdir ?? '';
    this.title.icon = args.port === undefined ? boardIcon : portIcon;
    this.title.closable = true;
    this.toolbar.addItem(
      'again',
      new ToolbarButton({
        icon: refreshIcon,
        tooltip: trans.__('Load it again'),
        onClick: () => {
          content.load();
        }
      })
    );
    this.toolbar.addItem(
      'browser',
      new ToolbarButton({
        icon: launchIcon,
        tooltip: trans.__('Open it in a tab of the browser'),
        onClick: () => {
          if (content.url) {
            window.open(content.url, '_blank', 'noopener');
          }
        }
      })
    );
  }

  /** What opens it again. */
  readonly args: IPortTabArgs;
}

/** The program's own page, or how it stands with that. */
export class PortView extends Widget {
  constructor(
    private readonly _options: IPortTabOptions,
    label: string
  ) {
    super();
    this.addClass('jp-tfcontainer-Port');
    const { trans } = _options;
    this._frame = new IFrame({
      // All that programs need, and not to lead this page elsewhere.
      sandbox: [
        'allow-downloads',
        'allow-forms',
        'allow-modals',
        'allow-popups',
        'allow-same-origin',
        'allow-scripts'
      ]
    });
    this._frame.node.querySelector('iframe')?.setAttribute('title', label);
    this._frame.hide();
    this._again.className = 'jp-mod-styled jp-mod-accept';
    this._again.textContent = trans.__('Try Again');
    this._again.addEventListener('click', () => {
      this.load();
    });
    this._text.setAttribute('role', 'status');
    const notice = new Widget();
    notice.addClass('jp-tfcontainer-PortNotice');
    notice.node.append(this._text, this._again);
    this._notice = notice;
    const layout = new PanelLayout();
    layout.addWidget(notice);
    layout.addWidget(this._frame);
    this.layout = layout;
  }

  /** Where it is; empty while nobody answers there. */
  get url(): string {
    return this._frame.isHidden ? '' : this._frame.url;
  }

  /** See whether somebody answers, and show it. */
  load(): void {
    const { args, trans, reach } = this._options;
    const turn = ++this._turn;
    this._say(
      args.port === undefined
        ? trans.__('TensorBoard starts…')
        : trans.__('Connecting to port %1…', args.port),
      false
    );
    reach().then(
      url => {
        if (turn === this._turn && !this.isDisposed) {
          this._notice.hide();
          this._frame.show();
          this._frame.url = url;
        }
      },
      (error: unknown) => {
        if (turn === this._turn && !this.isDisposed) {
          this._say((error as Error).message, true);
        }
      }
    );
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this._turn === 0) {
      this.load();
    }
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (this._again.hidden) {
      this._frame.node.querySelector('iframe')?.focus();
    } else {
      this._again.focus();
    }
  }

  private _say(text: string, failed: boolean): void {
    this._frame.hide();
    this._notice.show();
    this._text.textContent = text;
    this._again.hidden = !failed;
  }

  private readonly _frame: IFrame;
  private readonly _notice: Widget;
  private readonly _text = document.createElement('p');
  private readonly _again = document.createElement('button');
  private _turn = 0;
}
