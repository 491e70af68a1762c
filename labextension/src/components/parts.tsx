import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import { copyIcon, ellipsesIcon, MenuSvg } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyJSONObject } from '@lumino/coreutils';
import * as React from 'react';

import type { IVerdict } from '../restapi';

/** The colour of a dot. */
export type Tone = 'good' | 'fair' | 'bad' | 'plain';

/** A dot whose colour says what the words beside it say. */
export function Dot({ tone }: { tone: Tone }): React.JSX.Element {
  return <span className={`jp-tfcontainer-Dot jp-mod-${tone}`} aria-hidden="true" />;
}

export interface IIconButtonProps {
  icon: LabIcon;
  /** What it does, and to what: screen readers read it alone. */
  label: string;
  /** What it does, where that is to be seen. */
  title?: string;
  disabled?: boolean;
  onClick: (event: React.MouseEvent<HTMLElement>) => void;
}

/** A button with an icon, as those in JupyterLab's own lists. */
export function IconButton(props: IIconButtonProps): React.JSX.Element {
  const { icon, label, title, disabled, onClick } = props;
  return (
    <button
      className="jp-tfcontainer-IconButton"
      type="button"
      title={title ?? label}
      aria-label={label}
      disabled={disabled}
      onClick={onClick}
    >
      <icon.react tag="span" className="jp-tfcontainer-IconButton-icon" />
    </button>
  );
}

/** One line of a menu; null is a line between others. */
export type MenuItem = { command: string; args: ReadonlyJSONObject } | null;

/** Lines of a menu from the commands, all on the same. */
export function menuItems(
  commands: readonly (string | null)[],
  args: ReadonlyJSONObject
): MenuItem[] {
  return commands.map(command => (command === null ? null : { command, args }));
}

/** The button that opens what else can be done. */
export function MoreButton(props: {
  label: string;
  commands: CommandRegistry;
  items: MenuItem[];
}): React.JSX.Element {
  const { label, commands, items } = props;
  return (
    <IconButton
      icon={ellipsesIcon}
      label={label}
      onClick={event => {
        const button = event.currentTarget;
        const menu = new MenuSvg({ commands });
        for (const item of items) {
          menu.addItem(item ? { type: 'command', ...item } : { type: 'separator' });
        }
        menu.aboutToClose.connect(() => {
          button.focus();
          // The command runs after that.
          requestAnimationFrame(() => {
            menu.dispose();
          });
        });
        const { left, bottom } = button.getBoundingClientRect();
        menu.open(left, bottom);
      }}
    />
  );
}

/** One line of a list of figures, with a bar: how much of a whole something is. */
export function Bar(props: {
  what: string;
  /** What is measured: screen readers read it alone. */
  label: string;
  text: string;
  /** From 0 to 1. */
  share: number;
}): React.JSX.Element {
  const { what, label, text, share } = props;
  return (
    <>
      <dt>{what}</dt>
      <dd>
        <meter aria-label={label} aria-valuetext={text} value={share} />
      </dd>
      <dd>{text}</dd>
    </>
  );
}

/** What is said of an environment on this machine: a word, and the reasons for who opens it. */
export function Verdict(props: {
  verdict: IVerdict | null;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { verdict, trans } = props;
  if (!verdict) {
    return (
      <span className="jp-tfcontainer-Verdict">
        <Dot tone="plain" />
        {trans.__('Not in the catalog')}
      </span>
    );
  }
  const [tone, word] = verdictWord(verdict, trans);
  return (
    <details className="jp-tfcontainer-Verdict">
      <summary>
        <Dot tone={tone} />
        {word}
      </summary>
      <Reasons verdict={verdict} />
    </details>
  );
}

/** The sentences of a verdict. */
export function Reasons({ verdict }: { verdict: IVerdict }): React.JSX.Element {
  return (
    <ul className="jp-tfcontainer-Reasons">
      {verdict.reasons.map(({ sentence }) => (
        <li key={sentence}>{sentence}</li>
      ))}
    </ul>
  );
}

/** A verdict in colour and word. */
export function verdictWord(verdict: IVerdict, trans: TranslationBundle): [Tone, string] {
  switch (verdict.word) {
    case 'works':
      return ['good', trans.__('Works here')];
    case 'warns':
      return ['fair', trans.__('Works, with a caveat')];
    case 'cannot':
      return ['bad', trans.__('Cannot run here')];
  }
}

/** A sentence of the server's in which commands stand between backticks: each can be copied. */
export function Sentence(props: { text: string; trans: TranslationBundle }): React.JSX.Element {
  const { text, trans } = props;
  return (
    <>
      {text.split('`').map((piece, index) =>
        index % 2 === 0 ? (
          piece
        ) : (
          <span className="jp-tfcontainer-Command" key={index}>
            <code>{piece}</code>
            <IconButton
              icon={copyIcon}
              label={trans.__('Copy “%1”', piece)}
              title={trans.__('Copy')}
              onClick={() => {
                Clipboard.copyToSystem(piece);
              }}
            />
          </span>
        )
      )}
    </>
  );
}
