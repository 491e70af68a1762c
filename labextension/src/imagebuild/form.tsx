import type { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { Field } from '../components/field';
import { Dot, Sentence } from '../components/parts';
import { type IBuildForm, isComplete } from './request';

/** How an image is named. */
const EXAMPLE = 'tensorflow/tensorflow:1.2.1-py3';

/** How the server names one of which nothing is said. */
const MADE = 'tfcontainer/built:…';

export interface IBuildFormOptions {
  form: IBuildForm;
  /** The names of the images that there are, to choose from. */
  images: string[];
  /** Why the server did not take what was filled in before. */
  problem: string | null;
  trans: TranslationBundle;
}

/** The form in which it is said how an image is to be built. */
export class BuildForm extends ReactWidget implements Dialog.IBodyWidget<IBuildForm> {
  constructor(private readonly _options: IBuildFormOptions) {
    super();
    this._form = _options.form;
    this._problem = _options.problem;
    this.addClass('jp-tfcontainer-Form');
  }

  getValue(): IBuildForm {
    return this._form;
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._enable();
    // The dialog would focus its button, which cannot be pressed yet: no key would reach it.
    void this.renderPromise?.then(() => {
      this.node.querySelector<HTMLElement>('input:checked')?.focus();
    });
  }

  protected override render(): React.JSX.Element {
    const { trans, images } = this._options;
    const form = this._form;
    const set = (change: Partial<IBuildForm>) => {
      this._change(change);
    };
    return (
      <>
        <fieldset className="jp-tfcontainer-Field">
          <legend>{trans.__('Build it from')}</legend>
          <div>
            {(['packages', 'dockerfile'] as const).map(from => (
              <label key={from} className="jp-tfcontainer-Radio">
                <input
                  type="radio"
                  name="jp-tfcontainer-from"
                  checked={form.from === from}
                  onChange={() => {
                    set({ from });
                  }}
                />
                {from === 'packages'
                  ? trans.__('an image and packages')
                  : trans.__('a Dockerfile in the workspace')}
              </label>
            ))}
          </div>
        </fieldset>
        {form.from === 'packages' ? (
          <PackageFields {...{ form, trans, set, images }} />
        ) : (
          <Field
            label={trans.__('Dockerfile')}
            hint={trans.__('Its path in the workspace. It can copy what is in its folder.')}
          >
            <input
              className="jp-mod-styled"
              value={form.dockerfile}
              spellCheck={false}
              onChange={event => {
                set({ dockerfile: event.target.value });
              }}
            />
          </Field>
        )}
        <Field label={trans.__('Name of the image')} hint={trans.__('It may be left empty.')}>
          <input
            className="jp-mod-styled"
            value={form.reference}
            placeholder={MADE}
            spellCheck={false}
            onChange={event => {
              set({ reference: event.target.value });
            }}
          />
        </Field>
        <EnvironmentFields {...{ form, trans, set }} />
        <div className="jp-tfcontainer-Outcome" role="status">
          {this._problem && (
            <div className="jp-tfcontainer-Fact">
              <Dot tone="bad" />
              <div>
                <Sentence text={this._problem} trans={trans} />
              </div>
            </div>
          )}
        </div>
      </>
    );
  }

  private _change(change: Partial<IBuildForm>): void {
    this._form = { ...this._form, ...change };
    this._problem = null;
    this._enable();
    this.update();
  }

  /** Let the dialog be accepted, or not. */
  private _enable(): void {
    const button = this.node
      .closest('.jp-Dialog')
      ?.querySelector<HTMLButtonElement>('.jp-mod-accept');
    if (button) {
      button.disabled = !isComplete(this._form);
    }
  }

  private _form: IBuildForm;
  private _problem: string | null;
}

interface IPartProps {
  form: IBuildForm;
  trans: TranslationBundle;
  set: (change: Partial<IBuildForm>) => void;
}

function PackageFields(props: IPartProps & { images: string[] }): React.JSX.Element {
  const { form, trans, set, images } = props;
  const list = React.useId();
  return (
    <>
      <Field label={trans.__('Image')} hint={trans.__('It is pulled if it is not here.')}>
        <input
          className="jp-mod-styled"
          value={form.base}
          list={list}
          placeholder={EXAMPLE}
          spellCheck={false}
          onChange={event => {
            set({ base: event.target.value });
          }}
        />
      </Field>
      <datalist id={list}>
        {images.map(name => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <Field
        label={trans.__('Python packages')}
        hint={trans.__('as pip takes them, such as pandas==0.20.3')}
      >
        <textarea
          className="jp-mod-styled"
          rows={3}
          value={form.pip}
          spellCheck={false}
          onChange={event => {
            set({ pip: event.target.value });
          }}
        />
      </Field>
      <Field
        label={trans.__('Debian packages')}
        hint={trans.__('as apt-get takes them, such as graphviz')}
      >
        <textarea
          className="jp-mod-styled"
          rows={2}
          value={form.apt}
          spellCheck={false}
          onChange={event => {
            set({ apt: event.target.value });
          }}
        />
      </Field>
    </>
  );
}

function EnvironmentFields({ form, trans, set }: IPartProps): React.JSX.Element {
  return (
    <>
      <label className="jp-tfcontainer-Radio">
        <input
          type="checkbox"
          checked={form.environment}
          onChange={event => {
            set({ environment: event.target.checked });
          }}
        />
        {trans.__('Put it into the launcher')}
      </label>
      {form.environment && (
        <>
          <Field label={trans.__('Name in the launcher')}>
            <input
              className="jp-mod-styled"
              value={form.displayName}
              onChange={event => {
                set({ displayName: event.target.value });
              }}
            />
          </Field>
          <label className="jp-tfcontainer-Radio">
            <input
              type="checkbox"
              checked={form.gpus}
              onChange={event => {
                set({ gpus: event.target.checked });
              }}
            />
            {trans.__('With all GPUs')}
          </label>
        </>
      )}
    </>
  );
}
