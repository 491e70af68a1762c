import type { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Debouncer } from '@lumino/polling';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { ICatalog, IDraft, IEnvironment } from '../restapi';
import { Dot, Reasons, Sentence, verdictWord } from '../components/parts';
import { Field } from '../components/field';
import { candidates, choiceName, choose, devices, type IForm, releases } from './choices';

/** Milliseconds without a letter after which the server is asked what it thinks. */
const PAUSE = 250;

/** How an image is named. */
const EXAMPLE = 'tensorflow/tensorflow:1.2.1-py3';

export interface IFormOptions {
  form: IForm;
  /** Null where an environment is changed. */
  catalog: ICatalog | null;
  /** The environment that is changed; null for a new one. */
  before: IEnvironment | null;
  trans: TranslationBundle;
  /** Ask what would come of it. */
  draft: (form: IForm) => Promise<IDraft>;
}

/** The form in which an environment is made or changed. */
export class EnvironmentForm extends ReactWidget implements Dialog.IBodyWidget<IForm> {
  constructor(options: IFormOptions) {
    super();
    this._options = options;
    this._form = options.form;
    this.addClass('jp-tfcontainer-Form');
    this._check = new Debouncer(() => this._ask(), PAUSE);
  }

  getValue(): IForm {
    return this._form;
  }

  override dispose(): void {
    this._check.dispose();
    super.dispose();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    void this._ask();
  }

  protected override render(): React.JSX.Element {
    const { catalog, before, trans } = this._options;
    const form = this._form;
    const set = (change: Partial<IForm>) => {
      this._change(change);
    };
    return (
      <>
        {catalog && <CatalogChoice {...{ form, catalog, trans, set }} />}
        {!form.choice && (
          <Field
            label={trans.__('Image')}
            hint={trans.__('Any image with Python; of any registry.')}
          >
            <input
              className="jp-mod-styled"
              value={form.image}
              placeholder={EXAMPLE}
              spellCheck={false}
              onChange={event => {
                set({ image: event.target.value });
              }}
            />
          </Field>
        )}
        <Field label={trans.__('Name in the launcher')}>
          <input
            className="jp-mod-styled"
            value={form.displayName}
            placeholder={form.choice ? choiceName(form.choice) : ''}
            onChange={event => {
              set({ displayName: event.target.value });
            }}
          />
        </Field>
        <Advanced {...{ form, trans, set, before }} />
        <Outcome draft={this._draft} trans={trans} />
      </>
    );
  }

  private _change(change: Partial<IForm>): void {
    this._form = { ...this._form, ...change };
    this._enable(false);
    this.update();
    void this._check.invoke();
  }

  private async _ask(): Promise<void> {
    const form = this._form;
    const { draft } = this._options;
    if (!form.choice && form.image.trim() === '') {
      this._show(null);
      return;
    }
    try {
      const found = await draft(form);
      if (form === this._form) {
        this._show(found);
      }
    } catch (error) {
      this._show({ environment: null, problem: (error as Error).message, refused: null });
    }
  }

  private _show(draft: IDraft | null): void {
    if (!this.isDisposed) {
      this._draft = draft;
      this._enable(draft?.problem === null);
      this.update();
    }
  }

  /** Let the dialog be accepted, or not. */
  private _enable(enabled: boolean): void {
    const button = this.node
      .closest('.jp-Dialog')
      ?.querySelector<HTMLButtonElement>('.jp-mod-accept');
    if (button) {
      button.disabled = !enabled;
    }
  }

  private readonly _options: IFormOptions;
  private readonly _check: Debouncer;
  private _form: IForm;
  private _draft: IDraft | null = null;
}

interface IPartProps {
  form: IForm;
  trans: TranslationBundle;
  set: (change: Partial<IForm>) => void;
}

/** Release, device, Python: or any image. */
function CatalogChoice(props: IPartProps & { catalog: ICatalog }): React.JSX.Element {
  const { form, trans, set, catalog } = props;
  const { choice } = form;
  const pick = (tensorflow: string, device: 'cpu' | 'gpu') => {
    set({ choice: choose(catalog, choice, tensorflow, device) });
  };
  const versions = releases(catalog);
  const [newest = ''] = versions;
  return (
    <>
      <Field label={trans.__('TensorFlow')}>
        <select
          className="jp-mod-styled"
          value={choice?.tensorflow ?? ''}
          onChange={event => {
            if (event.target.value === '') {
              set({ choice: null });
            } else {
              pick(event.target.value, choice?.device ?? 'cpu');
            }
          }}
        >
          {versions.map(version => (
            <option key={version} value={version}>
              {version}
            </option>
          ))}
          <option value="">{trans.__('Any image…')}</option>
        </select>
      </Field>
      {choice && (
        <fieldset className="jp-tfcontainer-Field">
          <legend>{trans.__('Device')}</legend>
          <div>
            {devices(catalog, choice.tensorflow || newest).map(device => (
              <label key={device} className="jp-tfcontainer-Radio">
                <input
                  type="radio"
                  name="jp-tfcontainer-device"
                  checked={choice.device === device}
                  onChange={() => {
                    pick(choice.tensorflow, device);
                  }}
                />
                {device === 'gpu' ? trans.__('GPU') : trans.__('CPU')}
              </label>
            ))}
          </div>
        </fieldset>
      )}
      {choice && (
        <Field label={trans.__('Python')}>
          <select
            className="jp-mod-styled"
            value={choice.reference}
            onChange={event => {
              set({ choice: { ...choice, reference: event.target.value } });
            }}
          >
            {candidates(catalog, choice.tensorflow, choice.device).map(image => (
              <option key={image.reference} value={image.reference}>
                {`${image.python ?? trans.__('not known')} (${image.reference})`}
              </option>
            ))}
          </select>
        </Field>
      )}
    </>
  );
}

/** What most people leave as it is. */
function Advanced(props: IPartProps & { before: IEnvironment | null }): React.JSX.Element {
  const { form, trans, set, before } = props;
  const text = (name: keyof IForm, label: string, placeholder: string, hint?: string) => (
    <Field label={label} hint={hint}>
      <input
        className="jp-mod-styled"
        value={form[name] as string}
        placeholder={placeholder}
        spellCheck={false}
        onChange={event => {
          set({ [name]: event.target.value });
        }}
      />
    </Field>
  );
  const area = (name: keyof IForm, label: string, placeholder: string, hint: string) => (
    <Field label={label} hint={hint}>
      <textarea
        className="jp-mod-styled"
        rows={2}
        value={form[name] as string}
        placeholder={placeholder}
        spellCheck={false}
        onChange={event => {
          set({ [name]: event.target.value });
        }}
      />
    </Field>
  );
  const select = (name: keyof IForm, label: string, options: [string, string][]) => (
    <Field label={label}>
      <select
        className="jp-mod-styled"
        value={form[name] as string}
        onChange={event => {
          set({ [name]: event.target.value });
        }}
      >
        {options.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </Field>
  );
  return (
    <details className="jp-tfcontainer-Advanced" open={before !== null}>
      <summary>{trans.__('Limits, folders, variables')}</summary>
      <div className="jp-tfcontainer-Columns">
        {text('memory', trans.__('Memory'), trans.__('no limit'), trans.__('such as 4g'))}
        {text('cpus', trans.__('Processors'), trans.__('no limit'), trans.__('such as 1.5'))}
        {text('shmSize', trans.__('Shared memory'), '1g')}
        {(form.choice?.device ?? 'gpu') === 'gpu' &&
          text(
            'gpus',
            trans.__('GPUs'),
            form.choice ? 'all' : 'none',
            trans.__('all, none, a count, or indices')
          )}
        {select('network', trans.__('Network'), [
          ['bridge', trans.__('as the engine has it')],
          ['none', trans.__('none')]
        ])}
        {select('pullPolicy', trans.__('Pull the image'), [
          ['missing', trans.__('if it is missing')],
          ['always', trans.__('before each start')],
          ['never', trans.__('never')]
        ])}
        {text('user', trans.__('User'), 'me', trans.__('me, root, or UID:GID'))}
        {text('ports', trans.__('Ports'), '', trans.__('that programs listen at, such as 6006'))}
      </div>
      {area(
        'env',
        trans.__('Variables'),
        'NAME=VALUE',
        before
          ? trans.__('One in each line. A name alone keeps its value, which is not shown.')
          : trans.__('One in each line.')
      )}
      {area(
        'mounts',
        trans.__('Folders'),
        '/data:/data:ro',
        trans.__(
          'One in each line: that of the machine, that in the container, and :ro to read only.'
        )
      )}
      {text('preload', trans.__('Import ahead'), '', trans.__('modules, such as numpy'))}
      {text('standby', trans.__('Keep ready'), '', trans.__('containers; 0 for none'))}
    </details>
  );
}

/** What would come of it on this machine. */
function Outcome(props: { draft: IDraft | null; trans: TranslationBundle }): React.JSX.Element {
  const { draft, trans } = props;
  return (
    <div className="jp-tfcontainer-Outcome" role="status">
      {draft?.problem ? (
        <div className="jp-tfcontainer-Fact">
          <Dot tone="bad" />
          <div>
            <Sentence text={draft.problem} trans={trans} />
          </div>
        </div>
      ) : (
        draft?.environment && (
          <>
            <Needs environment={draft.environment} trans={trans} />
            <Here environment={draft.environment} trans={trans} />
            {draft.refused && (
              <div className="jp-tfcontainer-Fact">
                <Dot tone="bad" />
                <div>
                  <Sentence text={draft.refused} trans={trans} />
                </div>
              </div>
            )}
          </>
        )
      )}
    </div>
  );
}

function Needs(props: { environment: IEnvironment; trans: TranslationBundle }): React.JSX.Element {
  const { environment, trans } = props;
  const { catalog, gpus } = environment;
  const facts: [string, string][] = [[trans.__('Image'), environment.image]];
  if (catalog && gpus !== 'none') {
    if (catalog.cuda) {
      facts.push([trans.__('CUDA'), catalog.cuda.version]);
    }
    if (catalog.cudnn) {
      facts.push([trans.__('cuDNN'), catalog.cudnn]);
    }
    if (catalog.minimum_driver) {
      facts.push([trans.__('Driver'), trans.__('%1 or later', catalog.minimum_driver)]);
    }
  }
  return (
    <dl className="jp-tfcontainer-Needs">
      {facts.map(([name, value]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}

function Here(props: { environment: IEnvironment; trans: TranslationBundle }): React.JSX.Element {
  const { environment, trans } = props;
  const { verdict } = environment;
  if (!verdict) {
    return (
      <div className="jp-tfcontainer-Fact">
        <Dot tone="plain" />
        <div>
          {trans.__('This image is not in the catalog: whether it runs here, a start tells.')}
        </div>
      </div>
    );
  }
  const [tone, word] = verdictWord(verdict, trans);
  return (
    <div className="jp-tfcontainer-Fact">
      <Dot tone={tone} />
      <div>
        <strong>{word}</strong>
        <Reasons verdict={verdict} />
      </div>
    </div>
  );
}
