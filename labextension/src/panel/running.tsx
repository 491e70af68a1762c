import type { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon, stopIcon, terminalIcon, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { duration, memory } from '../format';
import type { IContainer } from '../restapi';
import type { Texts } from '../texts';
import type { IKernelStarting } from '../tokens';
import { CommandIDs, PortCommandIDs } from '../commands/ids';
import { type IListProps, Waiting } from './environments';
import type { Figures } from '../model/figures';
import { Graph } from '../components/graph';
import { logIcon } from '../components/icons';
import type { PanelModel } from '../model/panelmodel';
import { Dot, IconButton, menuItems, MoreButton, type Tone } from '../components/parts';

export interface IRunningProps extends IListProps {
  texts: Texts;
}

/** What runs, and what is about to. */
export function Running(props: IRunningProps): React.JSX.Element {
  const { model, trans, texts } = props;
  const { containers } = model;
  const starting = model.unlisted;
  if (!containers && starting.length === 0) {
    return <Waiting model={model} trans={trans} />;
  }
  if (containers?.length === 0 && starting.length === 0) {
    return <p className="jp-tfcontainer-Empty">{trans.__('Nothing runs.')}</p>;
  }
  return (
    <ul className="jp-tfcontainer-List" aria-label={trans.__('Running containers')}>
      {starting.map(event => (
        <Starting key={event.kernel_id} event={event} texts={texts} />
      ))}
      {containers?.map(container => (
        <Row key={container.id} {...props} container={container} />
      ))}
    </ul>
  );
}

function Starting({ event, texts }: { event: IKernelStarting; texts: Texts }): React.JSX.Element {
  const { progress } = event;
  const text = texts.starting(event);
  return (
    <li className="jp-tfcontainer-Row">
      <p role="status">{text}</p>
      {progress &&
        (progress.sized ? (
          <progress aria-label={text} value={progress.current} max={progress.total} />
        ) : (
          <progress aria-label={text} />
        ))}
    </li>
  );
}

function Row(props: IRunningProps & { container: IContainer }): React.JSX.Element {
  const { container, model, trans, commands, texts } = props;
  const { id, display_name, kernel, state } = container;
  const args = { container: id };
  const busy = model.busy.get(id);
  const execute = (command: string) => () => void commands.execute(command, args);
  const ours = kernel !== null && state === 'running';
  const session = model.session(container);
  const items = menuItems(
    [
      ...(ours ? [CommandIDs.interrupt, CommandIDs.restart, CommandIDs.restartFresh, null] : []),
      CommandIDs.openTerminal,
      CommandIDs.openRootTerminal,
      CommandIDs.showLog,
      CommandIDs.showOutput,
      PortCommandIDs.tensorBoard,
      PortCommandIDs.ports,
      CommandIDs.saveAsImage,
      CommandIDs.copyId,
      null,
      CommandIDs.stop
    ],
    args
  );
  const [tone, word] = stateWord(container, model.launches(id), trans);
  return (
    <li className="jp-tfcontainer-Row" data-id={id}>
      <div className="jp-tfcontainer-Head">
        <span className="jp-tfcontainer-Name" title={container.image}>
          {display_name}
        </span>
        <span className="jp-tfcontainer-Actions">
          {ours && (
            <IconButton
              icon={refreshIcon}
              label={trans.__('Restart the kernel of %1', display_name)}
              title={trans.__('Restart the kernel')}
              disabled={busy !== undefined}
              onClick={execute(CommandIDs.restart)}
            />
          )}
          <IconButton
            icon={terminalIcon}
            label={trans.__('Terminal in %1', display_name)}
            title={trans.__('Terminal')}
            disabled={!commands.isEnabled(CommandIDs.openTerminal, args)}
            onClick={execute(CommandIDs.openTerminal)}
          />
          <IconButton
            icon={logIcon}
            label={trans.__('Log of %1', display_name)}
            title={trans.__('Log')}
            onClick={execute(CommandIDs.showLog)}
          />
          <IconButton
            icon={stopIcon}
            label={trans.__('Stop %1', display_name)}
            title={trans.__('Stop')}
            disabled={busy !== undefined}
            onClick={execute(CommandIDs.stop)}
          />
          <MoreButton
            label={trans.__('More actions on %1', display_name)}
            commands={commands}
            items={items}
          />
        </span>
      </div>
      {session && (
        <button
          className="jp-tfcontainer-Link"
          type="button"
          title={session.path}
          onClick={execute(CommandIDs.openNotebook)}
        >
          {session.name || session.path}
        </button>
      )}
      {container.temporary_home && (
        <p className="jp-tfcontainer-Secondary">
          {trans.__('Without your packages: its home is empty, and goes with it')}
        </p>
      )}
      <p className="jp-tfcontainer-State">
        <Dot tone={tone} />
        <span role="status">{busy ?? word}</span>
        <UseSignal signal={model.figuresChanged}>
          {() => (
            <span className="jp-tfcontainer-Secondary">
              {' · '}
              {duration((Date.now() - Date.parse(container.created)) / 1000, texts.locale)}
            </span>
          )}
        </UseSignal>
      </p>
      {state !== 'ended' && <Live {...{ model, container, trans }} />}
    </li>
  );
}

/** How a container is, in colour and word. */
function stateWord(
  { state, kernel }: IContainer,
  launched: boolean,
  trans: TranslationBundle
): [Tone, string] {
  if (launched || (state === 'running' && kernel?.ready === false)) {
    return ['fair', trans.__('Kernel starts')];
  }
  switch (state) {
    case 'running':
      return ['good', trans.__('Running')];
    case 'standby':
      return ['plain', trans.__('Waits for a kernel')];
    case 'idle':
      return ['fair', trans.__('Without a kernel')];
    case 'elsewhere':
      return ['plain', trans.__('Of another program')];
    case 'ended':
      return ['bad', trans.__('Ended')];
  }
}

interface ILiveProps {
  model: PanelModel;
  container: IContainer;
  trans: TranslationBundle;
}

/** What a container uses. */
function Live({ model, container, trans }: ILiveProps): React.JSX.Element {
  return (
    <UseSignal signal={model.figuresChanged}>
      {() => {
        const figures = model.figures.get(container.id);
        return figures?.last ? <Usage figures={figures} trans={trans} /> : <></>;
      }}
    </UseSignal>
  );
}

function Usage({
  figures,
  trans
}: {
  figures: Figures;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { samples, last, memoryLimit, cpuLimit } = figures;
  const used = memory(last?.memory ?? 0);
  const of = memoryLimit === null ? used : trans.__('%1 of %2', used, memory(memoryLimit));
  const cpu = last?.cpu;
  const processors = typeof cpu === 'number' ? cpu.toFixed(1) : '–';
  const ofProcessors =
    cpuLimit === null
      ? trans.__('%1 CPUs', processors)
      : trans.__('%1 of %2 CPUs', processors, cpuLimit);
  const memoryPoints = samples.map(each => [each.time, each.memory] as const);
  const cpuPoints = samples.flatMap(each =>
    each.cpu === null ? [] : [[each.time, each.cpu] as const]
  );
  const gpuMemory = last?.gpuMemory ?? null;
  const gpuPoints = samples.flatMap(each =>
    each.gpuMemory === null ? [] : [[each.time, each.gpuMemory] as const]
  );
  return (
    <dl className="jp-tfcontainer-Usage">
      <dt>{trans.__('Memory')}</dt>
      <dd>
        <Graph
          label={trans.__('Memory in the last two minutes, now %1', of)}
          points={memoryPoints}
          limit={memoryLimit}
          floor={2 ** 26}
        />
      </dd>
      <dd>{of}</dd>
      <dt>{trans.__('CPU')}</dt>
      <dd>
        <Graph
          label={trans.__('CPU in the last two minutes, now %1', ofProcessors)}
          points={cpuPoints}
          limit={cpuLimit}
          floor={1}
        />
      </dd>
      <dd>{ofProcessors}</dd>
      {gpuMemory !== null && (
        <>
          <dt>{trans.__('GPU')}</dt>
          <dd>
            <Graph
              label={trans.__('GPU memory in the last two minutes, now %1', memory(gpuMemory))}
              points={gpuPoints}
              limit={null}
              floor={2 ** 28}
            />
          </dd>
          <dd>{memory(gpuMemory)}</dd>
        </>
      )}
    </dl>
  );
}
