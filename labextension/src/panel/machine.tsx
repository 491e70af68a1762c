import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { memory } from '../format';
import type { Engine, IMachine } from '../restapi';
import { RequestError } from '../restapi';
import { CardFact } from './cards';
import type { PanelModel } from '../model/panelmodel';
import { Dot, Sentence } from '../components/parts';

/** The engine and the cards, and what is missing. */
export function Machine(props: { model: PanelModel; trans: TranslationBundle }): React.JSX.Element {
  const { model, trans } = props;
  const { engine, machine, problem } = model;
  return (
    <div className="jp-tfcontainer-Machine">
      {problem && (
        <p className="jp-tfcontainer-Fact" role="status">
          <Dot tone="bad" />
          <span>
            {problem instanceof RequestError
              ? trans.__('The server answers: %1', problem.message)
              : trans.__('The server does not answer: %1', problem.message)}
          </span>
        </p>
      )}
      {engine && <EngineFact engine={engine} trans={trans} />}
      {machine && <Cards machine={machine} model={model} trans={trans} />}
    </div>
  );
}

function EngineFact(props: { engine: Engine; trans: TranslationBundle }): React.JSX.Element {
  const { engine, trans } = props;
  if (engine.state === 'missing') {
    return (
      <div className="jp-tfcontainer-Fact" role="status">
        <Dot tone="bad" />
        <div>
          <strong>{trans.__('No container engine')}</strong>
          <p>
            <Sentence text={engine.message} trans={trans} />
          </p>
        </div>
      </div>
    );
  }
  const name = engine.kind === 'podman' ? 'Podman' : 'Docker';
  const how = engine.rootless ? ` · ${trans.__('rootless')}` : '';
  return (
    <div className="jp-tfcontainer-Fact">
      <Dot tone="good" />
      <div>
        <strong>{`${name} ${engine.version}${how}`}</strong>
        <p className="jp-tfcontainer-Secondary" title={engine.operating_system}>
          {[
            engine.host,
            trans._n('%1 processor', '%1 processors', engine.cpus),
            memory(engine.memory)
          ].join(' · ')}
        </p>
      </div>
    </div>
  );
}

function Cards(props: {
  machine: IMachine;
  model: PanelModel;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { machine, model, trans } = props;
  // Whether anything can run at all.
  const runs = model.ready !== null;
  const { cards, driver, avx, problem } = machine;
  return (
    <>
      {avx === false && (
        <div className="jp-tfcontainer-Fact">
          <Dot tone="fair" />
          <div>
            <strong>{trans.__('Processor without AVX')}</strong>
            <p className="jp-tfcontainer-Secondary">
              {trans.__('TensorFlow 1.6 and later need it: use 1.5 or earlier.')}
            </p>
          </div>
        </div>
      )}
      {cards.map(card => (
        <CardFact key={card.uuid} {...{ card, driver, model, trans }} />
      ))}
      {problem ? (
        <div className="jp-tfcontainer-Fact">
          <Dot tone="bad" />
          <div>
            <strong>{trans.__('GPU')}</strong>
            <p>
              <Sentence text={problem} trans={trans} />
            </p>
          </div>
        </div>
      ) : (
        cards.length === 0 && (
          <div className="jp-tfcontainer-Fact">
            <Dot tone="plain" />
            <div>
              <strong>{trans.__('No NVIDIA card')}</strong>
              <p className="jp-tfcontainer-Secondary">
                {driver
                  ? trans.__('The driver (%1) tells of none.', driver)
                  : runs
                    ? trans.__(
                        'There is no driver. Environments for the processor run all the same.'
                      )
                    : trans.__('There is no driver.')}
              </p>
            </div>
          </div>
        )
      )}
    </>
  );
}
