/**
 * An amount of data as a registry counts it, in powers of 1000.
 *
 * @param count How many bytes.
 * @param locale The reader's language; that of the browser if there is none.
 */
export function bytes(count: number, locale?: string): string {
  const [unit, size] =
    count < 1e6 ? ['kilobyte', 1e3] : count < 1e9 ? ['megabyte', 1e6] : ['gigabyte', 1e9];
  return (count / size).toLocaleString(locale, {
    style: 'unit',
    unit,
    maximumFractionDigits: unit === 'gigabyte' ? 2 : 0
  });
}

/** An amount of memory in powers of 1024, as limits are given. */
export function memory(count: number): string {
  const mebibytes = count / 2 ** 20;
  return mebibytes < 1024
    ? `${mebibytes.toFixed(0)} MiB`
    : `${(mebibytes / 1024).toFixed(1).replace('.0', '')} GiB`;
}

/**
 * A share as a percentage.
 *
 * Rounded down: 100 % is for what is done.
 */
export function percent(share: number, locale?: string): string {
  return (Math.floor(share * 100) / 100).toLocaleString(locale, { style: 'percent' });
}

/** The largest two units of a time, such as `2 hr 5 min`; seconds only where it is below a minute. */
export function duration(seconds: number, locale?: string): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), 'day'],
    [Math.floor(whole / 3600) % 24, 'hour'],
    [Math.floor(whole / 60) % 60, 'minute'],
    [whole < 60 ? whole : 0, 'second']
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first < 0 ? -1 : first, first < 0 ? undefined : first + 2)
    .filter(([count], index) => count > 0 || index === 0)
    .map(([count, unit]) =>
      count.toLocaleString(locale, { style: 'unit', unit, unitDisplay: 'short' })
    )
    .join(' ');
}
