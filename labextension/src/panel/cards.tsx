import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { memory, percent } from '../format';
import type { ICard, ICardUse } from '../restapi';
import type { PanelModel } from '../model/panelmodel';
import { Bar, Dot } from '../components/parts';

export interface ICardFactProps {
  card: ICard;
  driver: string | null;
  model: PanelModel;
  trans: TranslationBundle;
}

/** A card, and what it does. */
export function CardFact({ card, driver, model, trans }: ICardFactProps): React.JSX.Element {
  return (
    <div className="jp-tfcontainer-Fact" data-card={card.uuid}>
      <Dot tone="good" />
      <div className="jp-tfcontainer-Card">
        <strong>{card.name}</strong>
        <p className="jp-tfcontainer-Secondary">
          {[
            memory(card.memory),
            trans.__('compute capability %1', card.compute_capability.join('.')),
            ...(driver ? [trans.__('driver %1', driver)] : [])
          ].join(' · ')}
        </p>
        <UseSignal signal={model.figuresChanged}>
          {() => {
            const use = model.cards.get(card.uuid);
            return use ? <Use name={card.name} use={use} trans={trans} /> : <></>;
          }}
        </UseSignal>
      </div>
    </div>
  );
}

function Use(props: { name: string; use: ICardUse; trans: TranslationBundle }): React.JSX.Element {
  const { name, use, trans } = props;
  const { memory: used, memory_total: total, utilization } = use;
  // What the driver does not tell is not drawn: a bar without a length would say that nothing is in use.
  return (
    <dl className="jp-tfcontainer-Usage">
      {used !== null && total !== null && (
        <Bar
          what={trans.__('Memory')}
          label={trans.__('Memory of %1', name)}
          text={trans.__('%1 of %2', memory(used), memory(total))}
          share={used / total}
        />
      )}
      {utilization !== null && (
        <Bar
          what={trans.__('Busy')}
          label={trans.__('How busy %1 is', name)}
          text={percent(utilization)}
          share={utilization}
        />
      )}
    </dl>
  );
}
