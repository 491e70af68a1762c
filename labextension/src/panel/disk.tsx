import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { bytes } from '../format';
import type { IDisk, IEngineImage, IHome } from '../restapi';
import type { DiskModel } from '../model/diskmodel';
import { CommandIDs, DiskCommandIDs } from '../commands/ids';
import { imageName } from './images';
import { Bar, IconButton } from '../components/parts';
import type { IRunningProps } from './running';

export interface IDiskProps extends IRunningProps {
  disk: DiskModel;
}

/** What takes room on the disk, what uses it, and giving it back. */
export function Disk(props: IDiskProps): React.JSX.Element {
  const { disk, trans, commands } = props;
  const { measured, measuring } = disk;
  return (
    <div aria-busy={measuring}>
      {!measured && (
        <p className="jp-tfcontainer-Empty">
          {measuring ? (
            <span role="status">{trans.__('Measuring…')}</span>
          ) : (
            <button
              className="jp-tfcontainer-Link"
              type="button"
              onClick={() => void commands.execute(DiskCommandIDs.measure)}
            >
              {trans.__('Measure what takes room')}
            </button>
          )}
        </p>
      )}
      {measured && <Measured {...props} measured={measured} />}
    </div>
  );
}

/** One line: what takes room, how much, and how to be rid of it. */
interface IEntry {
  key: string;
  name: string;
  size: number;
  /** Whether it is more than that. */
  more?: boolean;
  use: string;
  remove?: { label: string; title: string; work: () => void };
}

function Measured(props: IDiskProps & { measured: IDisk }): React.JSX.Element {
  const { measured, trans, texts } = props;
  const entries = [
    ...folders(props),
    ...measured.homes.map(home => homeEntry(home, props)),
    ...(measured.images ?? []).map(image => imageEntry(image, props))
  ];
  const most = Math.max(1, ...entries.map(each => each.size));
  return (
    <>
      <dl className="jp-tfcontainer-Usage jp-tfcontainer-Disks">
        {measured.disks.map(({ folder, free, total }) => (
          <Bar
            key={folder}
            what={trans.__('In use')}
            label={trans.__('How full the disk is that has %1', folder)}
            text={trans.__('%1 free', bytes(free, texts.locale))}
            share={1 - free / total}
          />
        ))}
      </dl>
      {measured.images === null && (
        <p className="jp-tfcontainer-Empty">
          {trans.__('No engine answers: its images are not known, nor what uses what.')}
        </p>
      )}
      <ul className="jp-tfcontainer-List" aria-label={trans.__('What takes room on the disk')}>
        {entries.map(entry => (
          <Entry key={entry.key} {...{ entry, most, trans }} locale={texts.locale} />
        ))}
      </ul>
    </>
  );
}

function Entry(props: {
  entry: IEntry;
  most: number;
  trans: TranslationBundle;
  locale: string | undefined;
}): React.JSX.Element {
  const { entry, most, trans, locale } = props;
  const { name, size, more, use, remove } = entry;
  const amount = more ? trans.__('at least %1', bytes(size, locale)) : bytes(size, locale);
  return (
    <li className="jp-tfcontainer-Row" data-disk={entry.key}>
      <div className="jp-tfcontainer-Head">
        <span className="jp-tfcontainer-Name" title={name}>
          {name}
        </span>
        {remove && (
          <span className="jp-tfcontainer-Actions">
            <IconButton
              icon={deleteIcon}
              label={remove.label}
              title={remove.title}
              onClick={remove.work}
            />
          </span>
        )}
      </div>
      <dl className="jp-tfcontainer-Usage">
        <Bar
          what={trans.__('Size')}
          label={trans.__('Size of %1', name)}
          text={amount}
          share={size / most}
        />
      </dl>
      <p className="jp-tfcontainer-Secondary">{use}</p>
    </li>
  );
}

function folders({ disk, trans, commands }: IDiskProps): IEntry[] {
  const { size = 0, left_behind = 0 } = disk.measured?.folders ?? {};
  return [
    ...(left_behind > 0
      ? [
          {
            key: 'left-behind',
            name: trans.__('Left behind'),
            size: left_behind,
            use: trans.__('Folders of what crashed; nothing uses them'),
            remove: {
              label: trans.__('Remove what was left behind'),
              title: trans.__('Remove'),
              work: () => void commands.execute(DiskCommandIDs.clearFolders)
            }
          }
        ]
      : []),
    {
      key: 'folders',
      name: trans.__('Containers and servers'),
      size,
      use: trans.__('Their folders; they go with them')
    }
  ];
}

function homeEntry(home: IHome, { model, trans, commands }: IDiskProps): IEntry {
  const { environment, size, complete, orphan, containers } = home;
  const name =
    model.environments?.find(each => each.name === environment)?.display_name ?? environment;
  return {
    key: `home-${environment}`,
    name: trans.__('Home of %1', name),
    size,
    more: !complete,
    use: containers?.length
      ? trans._n('%1 container has it', '%1 containers have it', containers.length)
      : orphan
        ? trans.__('There is no such environment any more')
        : trans.__('What you have installed, the history, caches'),
    remove: {
      label: trans.__('Reset the home of %1', name),
      title: trans.__('Reset'),
      work: () => void commands.execute(DiskCommandIDs.resetHome, { environment })
    }
  };
}

function imageEntry(image: IEngineImage, { disk, trans, commands }: IDiskProps): IEntry {
  const { id, size, unique_size, used_by } = image;
  const name = imageName(image, trans);
  const uses = used_by.environments.length + used_by.containers.length;
  return {
    key: id,
    name,
    // The rest of it others have as well.
    size: unique_size ?? size,
    use: uses > 0 ? trans.__('Image made here, in use') : trans.__('Image made here, not used'),
    ...(used_by.containers.length === 0 && {
      remove: {
        label: trans.__('Remove the image %1', name),
        title: trans.__('Remove'),
        work: () =>
          void commands
            .execute(CommandIDs.removeImage, { image: id })
            .then(() => disk.outdated())
            .catch(() => undefined)
      }
    })
  };
}
