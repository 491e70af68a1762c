import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { failure } from '../imagebuild/request';
import { bytes, duration, percent } from '../format';
import type { IEngineImage, IOperation } from '../restapi';
import { type IListProps, Waiting } from './environments';
import { logIcon } from '../components/icons';
import { CommandIDs, ImageCommandIDs } from '../commands/ids';
import { lacksKernel } from '../commands/imagebuild';
import type { IRunningProps } from './running';
import { Dot, IconButton, menuItems, MoreButton, Sentence } from '../components/parts';

/** What images there are, what is being made of them, and what could be freed. */
export function Images(props: IRunningProps): React.JSX.Element {
  const { model, trans } = props;
  const { images } = model;
  const operations = [...model.operations.values()];
  return (
    <>
      {operations.length > 0 && (
        <ul className="jp-tfcontainer-List" aria-label={trans.__('Operations on images')}>
          {operations.map(operation => (
            <Operation key={operation.id} {...props} operation={operation} />
          ))}
        </ul>
      )}
      {images ? <Known {...props} images={images} /> : <Waiting model={model} trans={trans} />}
    </>
  );
}

function Known(props: IRunningProps & { images: IEngineImage[] }): React.JSX.Element {
  const { images, trans, texts } = props;
  const freeable = images.filter(each => each.freeable);
  const sum = (some: IEngineImage[]) =>
    bytes(
      some.reduce((total, each) => total + each.size, 0),
      texts.locale
    );
  return (
    <>
      <p className="jp-tfcontainer-Total">
        {trans._n('%1 image, %2', '%1 images, %2', images.length, sum(images))}
        {freeable.length > 0 && ` · ${trans.__('%1 not used, %2', freeable.length, sum(freeable))}`}
      </p>
      <ul className="jp-tfcontainer-List" aria-label={trans.__('Images')}>
        {images.map(image => (
          <Row key={image.id} {...props} image={image} />
        ))}
      </ul>
    </>
  );
}

function Operation(props: IRunningProps & { operation: IOperation }): React.JSX.Element {
  const { operation, trans, commands, texts } = props;
  const { id, reference, state } = operation;
  const running = state === 'running';
  const label = running
    ? trans.__('Cancel %1', reference)
    : trans.__('Take note of the failure of %1', reference);
  const command = running ? CommandIDs.cancelOperation : CommandIDs.forgetOperation;
  return (
    <li className="jp-tfcontainer-Row" data-operation={id}>
      <div className="jp-tfcontainer-Head">
        <span className="jp-tfcontainer-Name" title={reference}>
          {reference}
        </span>
        <span className="jp-tfcontainer-Actions">
          {operation.kind !== 'pull' && (
            <IconButton
              icon={logIcon}
              label={trans.__('Log of %1', reference)}
              title={trans.__('Log')}
              onClick={() => void commands.execute(ImageCommandIDs.showLog, { operation: id })}
            />
          )}
          {state !== 'done' && (
            <IconButton
              icon={closeIcon}
              label={label}
              title={running ? trans.__('Cancel') : trans.__('Close')}
              onClick={() => void commands.execute(command, { operation: id })}
            />
          )}
        </span>
      </div>
      {state !== 'failed' ? (
        <Progress operation={operation} trans={trans} locale={texts.locale} />
      ) : (
        <Failure message={operation.message} trans={trans} />
      )}
    </li>
  );
}

/** What failed, and the lines that say why. */
function Failure(props: { message: string; trans: TranslationBundle }): React.JSX.Element {
  const { message, trans } = props;
  const { sentence, lines } = failure(message);
  return (
    <div className="jp-tfcontainer-Fact" role="alert">
      <Dot tone="bad" />
      <div>
        <Sentence text={sentence} trans={trans} />
        {lines && <pre className="jp-tfcontainer-LastLines">{lines}</pre>}
      </div>
    </div>
  );
}

/** How far an operation is. */
export function Progress(props: {
  operation: IOperation;
  trans: TranslationBundle;
  locale: string | undefined;
}): React.JSX.Element {
  const { operation, trans, locale } = props;
  const { progress, message, state } = operation;
  const text = progressText(operation, trans, locale);
  const known =
    progress?.final && progress.total
      ? { value: progress.bytes, max: progress.total }
      : state === 'done'
        ? { value: 1 }
        : progress?.phase === 'building'
          ? { value: progress.layers_done, max: progress.layers }
          : {};
  return (
    <>
      <progress aria-label={text || message} {...known} />
      <p className="jp-tfcontainer-Secondary" data-bytes={progress?.bytes}>
        {text || message}
      </p>
    </>
  );
}

/** How far an operation is, in words; nothing if that is not known. */
export function progressText(
  { progress, state }: IOperation,
  trans: TranslationBundle,
  locale?: string
): string {
  if (!progress) {
    return '';
  }
  const { bytes: here, total, final, layers, layers_done, seconds_left, phase } = progress;
  if (phase === 'building') {
    return state === 'running' ? trans.__('Step %1 of %2', layers_done + 1, layers) : '';
  }
  if (phase === 'retrying' && state === 'running') {
    return trans.__('The registry does not answer; trying again, %1 so far', bytes(here, locale));
  }
  if (!final || !total) {
    return here > 0 ? trans.__('%1 so far', bytes(here, locale)) : '';
  }
  const parts = [
    trans.__('%1 of %2', bytes(here, locale), bytes(total, locale)),
    percent(Math.min(here / total, 1), locale)
  ];
  if (phase === 'extracting' && state === 'running') {
    parts.push(trans.__('unpacking, %1 of %2 layers', layers_done, layers));
  } else if (seconds_left !== null) {
    parts.push(trans.__('%1 left', duration(seconds_left, locale)));
  }
  return parts.join(' · ');
}

function Row(props: IRunningProps & { image: IEngineImage }): React.JSX.Element {
  const { image, model, trans, commands, texts } = props;
  const name = imageName(image, trans);
  const args = { image: image.id };
  return (
    <li className="jp-tfcontainer-Row" data-image={name}>
      <div className="jp-tfcontainer-Head">
        <span className="jp-tfcontainer-Name" title={[...image.references, image.id].join('\n')}>
          {name}
        </span>
        <span className="jp-tfcontainer-Actions">
          <IconButton
            icon={deleteIcon}
            label={trans.__('Remove %1', name)}
            title={trans.__('Remove')}
            disabled={image.used_by.containers.length > 0}
            onClick={() => void commands.execute(CommandIDs.removeImage, args)}
          />
          <MoreButton
            label={trans.__('More actions on %1', name)}
            commands={commands}
            items={menuItems(
              [
                CommandIDs.pullAgain,
                CommandIDs.addOfImage,
                ImageCommandIDs.buildOn,
                ImageCommandIDs.prepare,
                ImageCommandIDs.save,
                null,
                CommandIDs.removeImage
              ],
              args
            )}
          />
        </span>
      </div>
      <p className="jp-tfcontainer-Secondary">
        {[bytes(image.size, texts.locale), origin(image, trans), ...inside(image)].join(' · ')}
      </p>
      <p className="jp-tfcontainer-Secondary">{use(image, props)}</p>
      {image.references.length > 0 && lacksKernel(image, model.images ?? []) && (
        <button
          className="jp-tfcontainer-Link"
          type="button"
          aria-label={trans.__('Prepare %1 for Jupyter', name)}
          onClick={() => void commands.execute(ImageCommandIDs.prepare, args)}
        >
          {trans.__('Prepare for Jupyter')}
        </button>
      )}
      <Inside image={image} trans={trans} />
    </li>
  );
}

/** What is in an image, for who wants to know. */
function Inside(props: { image: IEngineImage; trans: TranslationBundle }): React.JSX.Element {
  const { image, trans } = props;
  const { inside, parent } = image;
  const none = trans.__('none');
  const facts: [string, string][] = [
    ...(inside
      ? ([
          ['Python', inside.python ?? none],
          ['ipykernel', inside.ipykernel ?? none],
          ['TensorFlow', inside.tensorflow ?? none]
        ] as [string, string][])
      : []),
    ...(parent ? [[trans.__('Made of'), parent] as [string, string]] : []),
    [trans.__('Created'), new Date(image.created).toLocaleString()],
    ['ID', image.id.replace('sha256:', '').slice(0, 12)]
  ];
  return (
    <details className="jp-tfcontainer-Inside">
      <summary>{trans.__('What is in it')}</summary>
      {!inside && (
        <p className="jp-tfcontainer-Secondary">
          {trans.__('That is found out when it is first used.')}
        </p>
      )}
      <dl className="jp-tfcontainer-Needs">
        {facts.map(([name, value]) => (
          <React.Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </React.Fragment>
        ))}
      </dl>
    </details>
  );
}

/** What an image is called. */
export function imageName({ references, id }: IEngineImage, trans: TranslationBundle): string {
  return references[0] ?? trans.__('without a name (%1)', id.replace('sha256:', '').slice(0, 12));
}

function origin({ origin }: IEngineImage, trans: TranslationBundle): string {
  switch (origin) {
    case 'pulled':
      return trans.__('pulled');
    case 'prepared':
      return trans.__('with ipykernel, made here');
    case 'built':
      return trans.__('built here');
    case 'snapshot':
      return trans.__('saved from a container');
    case 'other':
      return trans.__('of other making');
  }
}

function inside({ inside }: IEngineImage): string[] {
  return [
    ...(inside?.tensorflow ? [`TensorFlow ${inside.tensorflow}`] : []),
    ...(inside?.python ? [`Python ${inside.python}`] : [])
  ];
}

function use(image: IEngineImage, { trans, model }: IListProps): string {
  const { environments, containers } = image.used_by;
  const names = environments.map(
    name => model.environments?.find(each => each.name === name)?.display_name ?? name
  );
  return (
    [
      ...(names.length > 0 ? [trans.__('Used by %1', names.join(', '))] : []),
      ...(containers.length > 0
        ? [trans._n('%1 container', '%1 containers', containers.length)]
        : [])
    ].join(' · ') || trans.__('Not used')
  );
}
