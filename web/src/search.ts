// Finding frames by a regular expression, and what all call paths with one of them have together.

import type { Recording } from "./recording.ts";
import type { Shape } from "./shape.ts";

/** The expression of a search, or why there is none. Small letters match capitals too. */
export function expression(text: string): RegExp | string {
  try {
    return new RegExp(text, /\p{Lu}/u.test(text) ? "u" : "iu");
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : String(error);
  }
}

/** What is searched of a frame. */
export function searched(recording: Recording, frame: number): string {
  const place = recording.place(frame);
  return place === "" ? recording.functionName(frame) : `${recording.functionName(frame)} ${place}`;
}

/**
 * Whether a match never reaches into a frame's line: each alternative ends with a letter, with a letter and digits, or
 * with a dot, and what follows a place's colon is digits only. Then all frames of a function match, or none.
 */
export function isOfFunctions(source: string): boolean {
  // A bar within brackets is none between alternatives.
  if (/[$()]/.test(source) || (source.includes("[") && source.includes("|"))) return false;
  return source.split("|").every((part) => /(^|[^\\])[A-Za-z_]\d*$/.test(part) || /[^\\]\\[./_-]$/.test(part));
}

export function matchKeys(recording: Recording, pattern: RegExp): { keys: Uint8Array; count: number } {
  const frames = recording.frameCount;
  const keys = new Uint8Array(frames + recording.moduleCount);
  let count = 0;
  // What frames of one function have in common is put together once.
  const starts: string[] = [];
  const isInFile = new Uint8Array(recording.functions.length / 3);
  const isQuick = isOfFunctions(pattern.source);
  // Of each function: not asked yet, no, yes.
  const known = new Uint8Array(recording.functions.length / 3);
  for (let frame = 0; frame < frames; frame += 1) {
    const of = recording.functionOf(frame);
    if (isQuick && known[of] > 0) {
      keys[frame] = known[of] - 1;
      count += known[of] - 1;
      continue;
    }
    const line = recording.lineOf(frame);
    if (starts[of] === undefined) {
      const short = recording.shortPathOf(recording.fileOf(frame));
      isInFile[of] = short === "" ? 0 : 1;
      starts[of] = short === "" ? recording.functionName(frame) : `${recording.functionName(frame)} ${short}`;
    }
    if (pattern.test(line > 0 && isInFile[of] === 1 ? `${starts[of]}:${line}` : starts[of])) {
      keys[frame] = 1;
      count += 1;
      known[of] = 2;
    } else known[of] = 1;
  }
  for (let module = 0; module < recording.moduleCount; module += 1) {
    if (pattern.test(recording.moduleName(module))) keys[frames + module] = 1;
  }
  return { keys, count };
}

/**
 * What is on call paths with a match, each counted once, and which nodes of the shape show one: in a folded module a
 * frame may match that is not to be seen.
 */
export function findMatches(
  recording: Recording,
  shape: Shape,
  now: Float64Array,
  keys: Uint8Array,
): { total: number; hits: Uint8Array } {
  const { callers, nodeFrames, nodes } = recording;
  const isInside = new Uint8Array(nodes);
  const hits = new Uint8Array(shape.count);
  let total = 0;
  for (let node = 1; node < nodes; node += 1) {
    if (keys[nodeFrames[node]] !== 0) {
      isInside[node] = 1;
      hits[shape.nodeOf[node]] = 1;
    } else if (isInside[callers[node]] !== 0) {
      isInside[node] = 1;
    } else {
      continue;
    }
    total += now[node];
  }
  hits[0] = 0;
  return { total, hits };
}
