import * as React from 'react';

import { WINDOW } from '../model/figures';

const WIDTH = 120;
const HEIGHT = 28;

export interface IGraphProps {
  /** What is to be seen in it, in words. */
  label: string;
  /** Time in seconds, and the value at it. */
  points: readonly (readonly [number, number])[];
  /** Drawn as a line of its own; null if there is none. */
  limit: number | null;
  /** The top, if no value and no limit is higher. */
  floor: number;
}

/** The course of something over the last two minutes. */
export function Graph({ label, points, limit, floor }: IGraphProps): React.JSX.Element {
  const end = points.at(-1)?.[0] ?? 0;
  const top = Math.max(floor, limit ?? 0, ...points.map(([, value]) => value)) * 1.1;
  const x = (time: number) => WIDTH * (1 - (end - time) / WINDOW);
  const y = (value: number) => HEIGHT * (1 - value / top);
  const line = points.map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`);
  const first = points[0];
  return (
    <svg
      className="jp-tfcontainer-Graph"
      viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {first && (
        <polygon
          points={`${x(first[0]).toFixed(1)},${String(HEIGHT)} ${line.join(' ')} ${String(WIDTH)},${String(HEIGHT)}`}
        />
      )}
      <polyline points={line.join(' ')} />
      {limit !== null && (
        <line x1={0} x2={WIDTH} y1={y(limit)} y2={y(limit)} className="jp-tfcontainer-Limit" />
      )}
    </svg>
  );
}
