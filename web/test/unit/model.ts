// Small recordings for tests, and numbers that only look random.

import { type About, type Changes, Recording, type Side } from "../../src/recording.ts";

const side: Side = {
  name: "a.heapsight",
  facts: [],
  warnings: [],
  end: "at exit",
  mean_bytes: null,
  ends_only: false,
  snapshot: false,
  memray: false,
  live: [0, 0],
  peak: [0, 0],
  peak_us: null,
  until_us: 1e6,
  start_unix_ms: 0,
  highest_resident: null,
  directory: "/srv/app",
  by_thread: false,
};

const about: About = {
  format: 1,
  version: "0",
  sentence: null,
  new: side,
  old: null,
  losses: [],
  span_us: null,
  source: null,
  paths: 0,
};

/** Owner of a function by its first letter: own, package, standard library, import system; `t` is a thread. */
const OWNERS: Record<string, number> = { o: 0, p: 1, s: 2, i: 3, t: 4 };

/** A recording of call paths such as `o1 s2 s3`, in which a word is a function, and its letter its module. */
export function recordingOf(paths: string[]): { recording: Recording; nodes: Map<string, number> } {
  const recording = new Recording(about);
  const words = [...new Set(paths.flatMap((path) => path.split(" ")))];
  const letters = Object.keys(OWNERS);
  recording.strings = ["", ...letters, ...words];
  const textOf = (text: string): number => recording.strings.indexOf(text);
  recording.modules = Int32Array.from(letters.flatMap((letter) => [textOf(letter), OWNERS[letter]]));
  recording.files = Int32Array.from(
    letters.flatMap((letter, at) => [textOf(letter), textOf(letter === "t" ? "" : letter), at]),
  );
  recording.functions = Int32Array.from(
    words.flatMap((word) => [textOf(word), letters.indexOf(word[0]), word[0] === "t" ? 1 : 0]),
  );
  recording.frames = Int32Array.from(words.flatMap((_, at) => [at, 10 + at]));
  const nodes = new Map<string, number>([["", 0]]);
  const callers = [0];
  const frames = [0];
  for (const path of paths) {
    let known = "";
    for (const word of path.split(" ")) {
      const next = known === "" ? word : `${known} ${word}`;
      if (!nodes.has(next)) {
        nodes.set(next, callers.length);
        callers.push(nodes.get(known) as number);
        frames.push(words.indexOf(word));
      }
      known = next;
    }
  }
  recording.callers = Int32Array.from(callers);
  recording.nodeFrames = Int32Array.from(frames);
  return { recording, nodes };
}

/** Every run draws the same numbers. */
export function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Changes, given for each span as [node, bytes allocated, bytes freed]. */
export function changesOf(ends: number[], spans: [number, number, number][][]): Changes {
  const all = spans.flat();
  const changes: Changes = {
    ends: Float64Array.from(ends),
    starts: new Int32Array(spans.length + 1),
    nodes: Int32Array.from(all, ([node]) => node),
    figures: new Float64Array(all.length * 6),
  };
  spans.forEach((span, at) => {
    changes.starts[at + 1] = changes.starts[at] + span.length;
  });
  all.forEach(([, allocated, freed], at) => {
    changes.figures[at * 6] = allocated;
    changes.figures[at * 6 + 2] = freed;
  });
  return changes;
}
