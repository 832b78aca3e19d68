// The figures of call paths for what is shown: a metric, of the whole run, of a range of time, or of a difference.

import type { Weights } from "./callees.ts";
import type { Changes, Figures, Recording } from "./recording.ts";
import type { Metric, State } from "./state.ts";

/** Which of the six figures of a change are summed for a metric, in bytes: + those, − these. */
const OF_METRIC: Record<Exclude<Metric, "peak">, [number, number]> = {
  live: [0, 2],
  allocated: [0, -1],
  temporary: [4, -1],
};

/** Sums of changes in the spans from `from` up to `to`, for each node. */
export function sumChanges(
  changes: Changes,
  nodes: number,
  metric: Exclude<Metric, "peak">,
  unit: State["unit"],
  from: number,
  to: number,
): Float64Array {
  const sums = new Float64Array(nodes);
  const offset = unit === "bytes" ? 0 : 1;
  const [plus, minus] = OF_METRIC[metric];
  for (let at = changes.starts[from]; at < changes.starts[to]; at += 1) {
    const figures = at * 6 + offset;
    let change = changes.figures[figures + plus];
    if (minus >= 0) change -= changes.figures[figures + minus];
    sums[changes.nodes[at]] += change;
  }
  return sums;
}

/** No node has less than nothing: where older blocks went, nothing was gained. */
function positive(sums: Float64Array): Float64Array {
  for (let node = 0; node < sums.length; node += 1) if (sums[node] < 0) sums[node] = 0;
  return sums;
}

function ofWhole(figures: Figures, metric: Metric): Float64Array {
  if (metric !== "live") return figures[metric];
  const live = new Float64Array(figures.allocated.length);
  for (let node = 0; node < live.length; node += 1) {
    live[node] = Math.max(0, figures.allocated[node] - figures.freed[node]);
  }
  return live;
}

/** What `state` shows. */
export async function weightsOf(recording: Recording, changes: Changes | null, state: State): Promise<Weights> {
  const { metric, unit, range, compare } = state;
  if (recording.about.old) {
    const [now, before] = await Promise.all([recording.figures(unit, ""), recording.figures(unit, "old-")]);
    return { now: ofWhole(now, metric), before: ofWhole(before, metric) };
  }
  if (!range || !changes || metric === "peak") {
    return { now: ofWhole(await recording.figures(unit, ""), metric), before: null };
  }
  const [from, to] = range;
  if (compare) {
    // How the two moments differ: everything up to each of them.
    const before = positive(sumChanges(changes, recording.nodes, metric, unit, 0, from));
    const now = positive(sumChanges(changes, recording.nodes, metric, unit, 0, to));
    return { now, before };
  }
  return { now: positive(sumChanges(changes, recording.nodes, metric, unit, from, to)), before: null };
}

/** Live bytes of each of `rows` at the end of each span, for frames that `rowOf` (by frame) gives a row. */
export function seriesOf(recording: Recording, changes: Changes, rowOf: Int32Array, rows: number): Float64Array[] {
  const spans = changes.ends.length;
  const series = Array.from({ length: rows }, () => new Float64Array(spans));
  for (let span = 0; span < spans; span += 1) {
    for (let at = changes.starts[span]; at < changes.starts[span + 1]; at += 1) {
      const row = rowOf[recording.nodeFrames[changes.nodes[at]]];
      if (row >= 0) series[row][span] += changes.figures[at * 6] - changes.figures[at * 6 + 2];
    }
  }
  for (const of of series) for (let span = 1; span < spans; span += 1) of[span] += of[span - 1];
  return series;
}

export interface Growth {
  /** Bytes per minute. */
  slope: Float64Array;
  /** Twice the standard error of that. */
  error: Float64Array;
}

const MINUTE_US = 60e6;

/**
 * How fast the live memory of each frame grew from span boundary `from` to `to`: the straight line that is nearest to
 * its figures at the ends of spans (least squares), and how well they keep to it. One pass over the changes: between
 * two changes a figure stays, and what that adds to the sums is known beforehand.
 */
export function growthOf(recording: Recording, changes: Changes, from: number, to: number): Growth | null {
  const points = to - from + 1;
  if (points < 4) return null;
  // Moment 0 is the start of the first span.
  const moment = (at: number): number => (at === 0 ? 0 : changes.ends[at - 1]) / MINUTE_US;
  let mean = 0;
  for (let at = from; at <= to; at += 1) mean += moment(at) / points;
  // Sums of (t − mean) over the points from each one on.
  const after = new Float64Array(points + 1);
  let spread = 0;
  for (let at = points - 1; at >= 0; at -= 1) {
    const distance = moment(from + at) - mean;
    after[at] = after[at + 1] + distance;
    spread += distance * distance;
  }
  if (spread <= 0) return null;
  const frames = recording.frameCount;
  const level = new Float64Array(frames);
  const since = new Int32Array(frames);
  const sum = new Float64Array(frames);
  const squares = new Float64Array(frames);
  const slope = new Float64Array(frames);
  const settle = (frame: number, point: number): void => {
    const stayed = point - since[frame];
    sum[frame] += level[frame] * stayed;
    squares[frame] += level[frame] * level[frame] * stayed;
    since[frame] = point;
  };
  for (let span = from; span < to; span += 1) {
    // The first moment is before the first change.
    const point = span - from + 1;
    for (let at = changes.starts[span]; at < changes.starts[span + 1]; at += 1) {
      const frame = recording.nodeFrames[changes.nodes[at]];
      const change = changes.figures[at * 6] - changes.figures[at * 6 + 2];
      settle(frame, point);
      level[frame] += change;
      slope[frame] += change * after[point];
    }
  }
  const error = new Float64Array(frames);
  for (let frame = 0; frame < frames; frame += 1) {
    settle(frame, points);
    slope[frame] /= spread;
    const about = squares[frame] - (sum[frame] * sum[frame]) / points;
    const left = Math.max(0, about - slope[frame] * slope[frame] * spread);
    error[frame] = 2 * Math.sqrt(left / (points - 2) / spread);
  }
  return { slope, error };
}
