// Sizes, counts, shares and times as text: the same text that the command line shows.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A size, rounded to two or more digits: one decimal below 10 of a unit, none from there on. */
export function size(bytes: number): string {
  let unit = 0;
  // 1023.5 of a unit would be rounded to 1024: that is 1.0 of the next.
  while (unit < UNITS.length - 1 && bytes * 2 >= 2047 * 1024 ** unit) unit += 1;
  const tenths = Math.round((bytes * 10) / 1024 ** unit);
  const text = unit === 0 || tenths >= 100 ? String(Math.round(bytes / 1024 ** unit)) : (tenths / 10).toFixed(1);
  return `${text} ${UNITS[unit]}`;
}

/** A number with a comma between each three digits. */
export function count(number: number): string {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

export type Unit = "bytes" | "blocks";

/** A figure of memory. */
export function amount(value: number, unit: Unit): string {
  return unit === "bytes" ? size(value) : count(value);
}

/** A figure of memory with its sign: a true minus, which is as wide as a plus. */
export function change(value: number, unit: Unit): string {
  return (value < 0 ? "−" : "+") + amount(Math.abs(value), unit);
}

/** A part of a whole in per cent with one decimal. */
export function share(part: number, whole: number): string {
  return `${((whole > 0 ? part / whole : 0) * 100).toFixed(1)} %`;
}

/** How much something changed in per cent, or that it is new. */
export function relative(now: number, before: number): string {
  if (before <= 0) return now > 0 ? "new" : "";
  const per = ((now - before) / before) * 100;
  return `${per < 0 ? "−" : "+"}${Math.abs(per).toFixed(Math.abs(per) < 10 ? 1 : 0)} %`;
}

/** A moment or a length of time. */
export function time(us: number): string {
  const ms = us / 1000;
  if (ms < 1000) return `${Math.floor(ms)} ms`;
  const tenths = Math.floor(ms / 100);
  if (tenths < 600) return `${Math.floor(tenths / 10)}.${tenths % 10} s`;
  const seconds = Math.floor(ms / 1000);
  const two = (number: number): string => String(number).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
}

/** What to add to and subtract from a sampled figure of bytes, so that the truth lies between in 95 % of all runs. */
export function margin(bytes: number, meanBytes: number | null): number | null {
  if (meanBytes === null) return null;
  return Math.ceil(meanBytes + 2 * Math.sqrt(meanBytes * (bytes + meanBytes)));
}
