// The rows of the table of call sites: what each frame has itself, of what is shown.

import type { Weights } from "./callees.ts";
import type { Growth } from "./figures.ts";
import { PYTHON, type Recording } from "./recording.ts";
import { searched } from "./search.ts";
import type { Shape } from "./shape.ts";

export interface Row {
  frame: number;
  now: number;
  before: number;
  slope: number;
  error: number;
}

/** Sums of each frame, of nodes below `zoomed` of a shape (0: of all). */
export function rowsOf(
  recording: Recording,
  shape: Shape,
  weights: Weights,
  zoomed: number,
  growth: Growth | null,
): Row[] {
  const { nodes, nodeFrames } = recording;
  const frames = recording.frameCount;
  const now = new Float64Array(frames);
  const before = new Float64Array(frames);
  const isInside = zoomed > 0 ? insideOf(shape, zoomed) : null;
  for (let node = 1; node < nodes; node += 1) {
    if (isInside && isInside[shape.nodeOf[node]] === 0) continue;
    now[nodeFrames[node]] += weights.now[node];
    if (weights.before) before[nodeFrames[node]] += weights.before[node];
  }
  const rows: Row[] = [];
  for (let frame = 0; frame < frames; frame += 1) {
    if (now[frame] <= 0 && before[frame] <= 0) continue;
    const slope = growth ? growth.slope[frame] : 0;
    const error = growth ? growth.error[frame] : 0;
    rows.push({ frame, now: now[frame], before: before[frame], slope, error });
  }
  return rows;
}

function insideOf(shape: Shape, zoomed: number): Uint8Array {
  const isInside = new Uint8Array(shape.count);
  isInside[zoomed] = 1;
  for (let node = zoomed + 1; node < shape.count; node += 1) isInside[node] |= isInside[shape.parents[node]];
  return isInside;
}

/** In the order that `sort` asks for: a sign and a column. */
export function sortRows(recording: Recording, rows: Row[], sort: string, isDifference: boolean): Row[] {
  const sign = sort.startsWith("-") ? -1 : 1;
  const column = sort.slice(1);
  const size = isDifference ? (row: Row): number => Math.abs(row.now - row.before) : (row: Row): number => row.now;
  const figures: Record<string, (row: Row) => number> = {
    size,
    now: (row) => row.now,
    old: (row) => row.before,
    change: (row) => row.now - row.before,
    growth: (row) => row.slope,
  };
  if (column === "place") {
    const places = new Map(rows.map((row) => [row.frame, searched(recording, row.frame)]));
    const place = (row: Row): string => recording.place(row.frame) || (places.get(row.frame) as string);
    return rows.sort((one, other) => sign * place(one).localeCompare(place(other)));
  }
  const of = figures[column] ?? size;
  return rows.sort((one, other) => sign * (of(one) - of(other)) || one.frame - other.frame);
}

/** Rows whose function or place has `filter` in it, small letters or not. */
export function filterRows(recording: Recording, rows: Row[], filter: string): Row[] {
  const wanted = filter.trim().toLowerCase();
  if (wanted === "") return rows;
  return rows.filter((row) => searched(recording, row.frame).toLowerCase().includes(wanted));
}

/** Sums of each line of a file. */
export function linesOf(
  recording: Recording,
  weights: Weights,
  file: number,
): Map<number, { now: number; before: number }> {
  const isOfFile = new Uint8Array(recording.frameCount);
  for (let frame = 0; frame < isOfFile.length; frame += 1) {
    if (recording.fileOf(frame) === file && recording.kindOf(frame) === PYTHON) isOfFile[frame] = 1;
  }
  const lines = new Map<number, { now: number; before: number }>();
  for (let node = 1; node < recording.nodes; node += 1) {
    const frame = recording.nodeFrames[node];
    if (isOfFile[frame] === 0) continue;
    const line = recording.lineOf(frame);
    const sum = lines.get(line) ?? { now: 0, before: 0 };
    sum.now += weights.now[node];
    if (weights.before) sum.before += weights.before[node];
    lines.set(line, sum);
  }
  return lines;
}
