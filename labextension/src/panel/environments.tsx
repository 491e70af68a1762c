import type { TranslationBundle } from '@jupyterlab/translation';
import { consoleIcon, notebookIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import { insteadOf } from '../suggestions/alternatives';
import type { AnyEnvironment, IEnvironment } from '../restapi';
import { CommandIDs, DiskCommandIDs } from '../commands/ids';
import { aheadIcon } from '../components/icons';
import type { PanelModel } from '../model/panelmodel';
import { Dot, IconButton, menuItems, MoreButton, Verdict } from '../components/parts';

export interface IListProps {
  model: PanelModel;
  trans: TranslationBundle;
  commands: CommandRegistry;
}

/** What can be started. */
export function Environments({ model, trans, commands }: IListProps): React.JSX.Element {
  const { environments } = model;
  if (!environments) {
    return <Waiting model={model} trans={trans} />;
  }
  const shown = environments.filter(each => !each.hidden);
  const hidden = environments.filter(each => each.hidden);
  const row = (environment: AnyEnvironment) => (
    <Row key={environment.name} {...{ environment, model, trans, commands }} />
  );
  return (
    <>
      {shown.length === 0 && (
        <p className="jp-tfcontainer-Empty">
          {trans.__('There is none yet.')}{' '}
          <button
            className="jp-tfcontainer-Link"
            type="button"
            onClick={() => void commands.execute(CommandIDs.addEnvironment)}
          >
            {trans.__('Add one from the catalog…')}
          </button>
        </p>
      )}
      <ul className="jp-tfcontainer-List" aria-label={trans.__('Environments')}>
        {shown.map(row)}
      </ul>
      {hidden.length > 0 && (
        <details className="jp-tfcontainer-Hidden">
          <summary>{trans.__('Hidden (%1)', hidden.length)}</summary>
          <ul className="jp-tfcontainer-List" aria-label={trans.__('Hidden environments')}>
            {hidden.map(row)}
          </ul>
        </details>
      )}
    </>
  );
}

/** What is to be seen where nothing is known. */
export function Waiting({ model, trans }: Pick<IListProps, 'model' | 'trans'>): React.JSX.Element {
  return (
    <p className="jp-tfcontainer-Empty">
      {model.engine?.state === 'missing'
        ? trans.__('Not known while no engine answers.')
        : model.problem
          ? trans.__('Not known')
          : trans.__('Loading…')}
    </p>
  );
}

function Row(props: IListProps & { environment: AnyEnvironment }): React.JSX.Element {
  const { environment, model, trans, commands } = props;
  const { name, display_name } = environment;
  const args = { environment: name };
  const busy = model.busy.get(name);
  const execute = (id: string) => () => void commands.execute(id, args);
  const readable = 'image' in environment ? environment : null;
  const startable = readable !== null && !!model.ready;
  const items = menuItems(
    [
      ...(readable
        ? [
            CommandIDs.newNotebook,
            CommandIDs.newConsole,
            CommandIDs.startAhead,
            CommandIDs.startWithoutPackages,
            null
          ]
        : []),
      ...(environment.own && readable ? [CommandIDs.editEnvironment] : []),
      ...(readable ? [CommandIDs.copyEnvironment, CommandIDs.exportEnvironment, null] : []),
      DiskCommandIDs.resetHome,
      environment.hidden ? CommandIDs.showEnvironment : CommandIDs.hideEnvironment,
      ...(environment.own ? [CommandIDs.deleteEnvironment] : [])
    ],
    args
  );
  return (
    <li className="jp-tfcontainer-Row" data-name={name}>
      <div className="jp-tfcontainer-Head">
        <span className="jp-tfcontainer-Name" title={name}>
          {display_name}
        </span>
        <span className="jp-tfcontainer-Actions">
          {readable && (
            <>
              <IconButton
                icon={notebookIcon}
                label={trans.__('New notebook with %1', display_name)}
                title={trans.__('New notebook')}
                disabled={!startable}
                onClick={execute(CommandIDs.newNotebook)}
              />
              <IconButton
                icon={consoleIcon}
                label={trans.__('New console with %1', display_name)}
                title={trans.__('New console')}
                disabled={!startable}
                onClick={execute(CommandIDs.newConsole)}
              />
              <IconButton
                icon={aheadIcon}
                label={trans.__('Start %1 ahead', display_name)}
                title={trans.__('Start ahead: the next kernel is there at once')}
                disabled={!startable || busy !== undefined}
                onClick={execute(CommandIDs.startAhead)}
              />
            </>
          )}
          <MoreButton
            label={trans.__('More actions on %1', display_name)}
            commands={commands}
            items={items}
          />
        </span>
      </div>
      {readable ? (
        <>
          <Description environment={readable} trans={trans} />
          <Instead {...props} environment={readable} />
          {model.isHere(name) === false && (
            <p className="jp-tfcontainer-State">
              <Dot tone="plain" />
              <span>{trans.__('Image not pulled yet')}</span>
              {readable.verdict?.word !== 'cannot' && (
                <button
                  className="jp-tfcontainer-Link"
                  type="button"
                  aria-label={trans.__('Pull the image of %1 now', display_name)}
                  onClick={execute(CommandIDs.pullImage)}
                >
                  {trans.__('Pull now')}
                </button>
              )}
            </p>
          )}
        </>
      ) : (
        <details className="jp-tfcontainer-Verdict">
          <summary>
            <Dot tone="bad" />
            {trans.__('Cannot be read')}
          </summary>
          {'error' in environment && environment.error}
        </details>
      )}
      {busy && (
        <p className="jp-tfcontainer-Busy" role="status">
          {busy}
        </p>
      )}
    </li>
  );
}

/** Where an environment cannot run here: what can, one click away. */
function Instead(props: IListProps & { environment: IEnvironment }): React.JSX.Element {
  const { environment, model, trans, commands } = props;
  const instead = insteadOf(environment, model.environments ?? []);
  if (!instead) {
    return <></>;
  }
  const { existing, tensorflow } = instead;
  return (
    <button
      className="jp-tfcontainer-Link"
      type="button"
      onClick={() =>
        void commands.execute(CommandIDs.useInstead, { environment: environment.name })
      }
    >
      {existing
        ? trans.__('New notebook with %1 instead', existing.display_name)
        : trans.__('Add TF %1 CPU instead', tensorflow)}
    </button>
  );
}

function Description(props: {
  environment: IEnvironment;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { environment, trans } = props;
  return (
    <>
      <p className="jp-tfcontainer-Secondary">{description(environment, trans).join(' · ')}</p>
      <p className="jp-tfcontainer-Secondary jp-tfcontainer-Image" title={environment.image}>
        {environment.image}
      </p>
      <Verdict verdict={environment.verdict} trans={trans} />
    </>
  );
}

/** What is in an environment, in a few words each. */
export function description(environment: IEnvironment, trans: TranslationBundle): string[] {
  const { catalog, gpus } = environment;
  const device =
    gpus === 'none'
      ? trans.__('CPU')
      : gpus === 'all'
        ? trans.__('all GPUs')
        : trans._n('%1 GPU', '%1 GPUs', typeof gpus === 'number' ? gpus : gpus.length);
  return [
    ...(catalog?.tensorflow ? [`TensorFlow ${catalog.tensorflow}`] : []),
    ...(catalog?.python ? [`Python ${catalog.python}`] : []),
    ...(catalog?.cuda && gpus !== 'none' ? [`CUDA ${catalog.cuda.version}`] : []),
    device
  ];
}
