// What the page knows: names, call paths, their figures, and what happened over time.

import { floats, integers, lines, Numbers, section } from "./unpack.ts";

/** What is said of one recording as a whole. */
export interface Side {
  name: string;
  facts: string[];
  warnings: string[];
  end: string;
  mean_bytes: number | null;
  ends_only: boolean;
  snapshot: boolean;
  memray: boolean;
  live: [number, number];
  peak: [number, number];
  peak_us: number | null;
  until_us: number;
  start_unix_ms: number;
  highest_resident: number | null;
  directory: string;
  by_thread: boolean;
}

export interface About {
  format: number;
  version: string;
  sentence: string | null;
  new: Side;
  old: Side | null;
  losses: string[];
  span_us: [number, number] | null;
  source: { secrets: [number, number][]; missing: number; left_out: number; files: number } | null;
  paths: number;
}

/** Whose code a module is, as numbered in the data. */
export const PROGRAM = 0;
export const INSTALLED = 1;
export const STANDARD_LIBRARY = 2;
export const IMPORT_SYSTEM = 3;
export const OTHER = 4;

/** What a function stands for. */
export const PYTHON = 0;
export const THREAD = 1;
export const FOLDED = 2;
export const SMALLER_PATHS = 3;

/** The counters of each call path, without what it calls. */
export interface Figures {
  allocated: Float64Array;
  freed: Float64Array;
  peak: Float64Array;
  temporary: Float64Array;
}

/** What each call path did in each span of time. */
export interface Changes {
  /** Ends of the spans in microseconds; the first begins at 0. */
  ends: Float64Array;
  /** Where the changes of each span begin, and one more. */
  starts: Int32Array;
  nodes: Int32Array;
  /** Six figures for each change: bytes and blocks allocated, freed, temporary. */
  figures: Float64Array;
}

export interface Ticks {
  times: Float64Array;
  live: Float64Array;
  liveBlocks: Float64Array;
  resident: Float64Array;
  tracer: Float64Array;
}

/** Lines of one file, by their number. */
export type SourceFile = Map<number, string>;

export class Recording {
  strings: string[] = [];
  /** Name and owner of each module. */
  modules: Int32Array = new Int32Array(0);
  /** Path, short name and module of each file. */
  files: Int32Array = new Int32Array(0);
  /** Name, file and kind of each function. */
  functions: Int32Array = new Int32Array(0);
  /** Function and line of each frame. */
  frames: Int32Array = new Int32Array(0);
  /** Caller of each node; callers come first, and the root, 0, is its own. */
  callers = new Int32Array(1);
  /** Frame of each node; meaningless for the root. */
  nodeFrames = new Int32Array(1);
  private readonly loaded = new Map<string, Promise<Figures>>();

  constructor(readonly about: About) {}

  /** Reads what the first look needs. */
  static async read(): Promise<Recording> {
    const about = JSON.parse(document.getElementById("data-about")?.textContent ?? "null") as About | null;
    if (!about) throw new Error("this page has no data in it");
    const recording = new Recording(about);
    const [strings, modules, files, functions, frames, callers, nodeFrames] = await Promise.all(
      ["strings", "modules", "files", "functions", "frames", "callers", "node-frames"].map(section),
    );
    recording.strings = lines(strings);
    recording.modules = integers(modules, 2);
    recording.files = integers(files, 3);
    recording.functions = integers(functions, 3);
    recording.frames = integers(frames, 2);
    const nodes = (callers?.count ?? 0) + 1;
    recording.callers = new Int32Array(nodes);
    recording.nodeFrames = new Int32Array(nodes);
    if (callers && nodeFrames) {
      const distances = new Numbers(callers.bytes);
      for (let node = 1; node < nodes; node += 1) recording.callers[node] = node - distances.next();
      new Numbers(nodeFrames.bytes).fill(recording.nodeFrames, 1);
    }
    return recording;
  }

  get nodes(): number {
    return this.callers.length;
  }

  get frameCount(): number {
    return this.frames.length / 2;
  }

  get moduleCount(): number {
    return this.modules.length / 2;
  }

  /** Figures of one unit, read when they are first asked for. */
  figures(unit: "bytes" | "blocks", which: "" | "old-"): Promise<Figures> {
    const key = which + unit;
    let found = this.loaded.get(key);
    if (!found) {
      found = Promise.all(
        ["allocated", "freed", "peak", "temporary"].map(async (name) =>
          floats(await section(`${which}${name}-${unit}`)),
        ),
      ).then(([allocated, freed, peak, temporary]) => ({ allocated, freed, peak, temporary }));
      this.loaded.set(key, found);
    }
    return found;
  }

  async changes(): Promise<Changes | null> {
    const [ends, counts, changes] = await Promise.all(["span-ends", "span-counts", "changes"].map(section));
    if (!ends || !counts || !changes || ends.count === 0) return null;
    const spans = ends.count;
    const all: Changes = {
      ends: floats(ends),
      starts: new Int32Array(spans + 1),
      nodes: new Int32Array(changes.count),
      figures: new Float64Array(changes.count * 6),
    };
    for (let span = 1; span < spans; span += 1) all.ends[span] += all.ends[span - 1];
    const inSpans = integers(counts);
    const numbers = new Numbers(changes.bytes);
    let at = 0;
    for (let span = 0; span < spans; span += 1) {
      let node = 0;
      for (let left = inSpans[span]; left > 0; left -= 1) {
        node += numbers.next();
        all.nodes[at] = node;
        const there = numbers.next();
        for (let figure = 0; figure < 6; figure += 1) {
          if (there & (1 << figure)) all.figures[at * 6 + figure] = numbers.next();
        }
        at += 1;
      }
      all.starts[span + 1] = at;
    }
    return all;
  }

  async ticks(which: "" | "old-"): Promise<Ticks> {
    const of = (name: string): Promise<Float64Array> => section(`${which}tick-${name}`).then(floats);
    const [times, live, liveBlocks, resident, tracer] = await Promise.all(
      ["times", "live", "live-blocks", "resident", "tracer"].map(of),
    );
    for (let tick = 1; tick < times.length; tick += 1) times[tick] += times[tick - 1];
    return { times, live, liveBlocks, resident, tracer };
  }

  /** Embedded source, by file. */
  async source(): Promise<Map<number, SourceFile>> {
    const [files, texts] = await Promise.all(["source-files", "source-lines"].map(section));
    const found = new Map<number, SourceFile>();
    if (!files || !texts) return found;
    const numbers = new Numbers(files.bytes);
    const text = lines(texts);
    let next = 0;
    for (let left = files.count; left > 0; left -= 1) {
      const file = numbers.next();
      const of: SourceFile = new Map();
      for (let windows = numbers.next(); windows > 0; windows -= 1) {
        const first = numbers.next();
        const count = numbers.next();
        for (let line = first; line < first + count; line += 1) of.set(line, text[next++]);
      }
      found.set(file, of);
    }
    return found;
  }

  functionOf(frame: number): number {
    return this.frames[frame * 2];
  }

  lineOf(frame: number): number {
    return this.frames[frame * 2 + 1];
  }

  kindOf(frame: number): number {
    return this.functions[this.functionOf(frame) * 3 + 2];
  }

  fileOf(frame: number): number {
    return this.functions[this.functionOf(frame) * 3 + 1];
  }

  moduleOf(frame: number): number {
    return this.files[this.fileOf(frame) * 3 + 2];
  }

  /** Module of each frame. */
  get frameModules(): Int32Array {
    if (!this.modulesOfFrames) {
      this.modulesOfFrames = new Int32Array(this.frameCount);
      for (let frame = 0; frame < this.frameCount; frame += 1) this.modulesOfFrames[frame] = this.moduleOf(frame);
    }
    return this.modulesOfFrames;
  }

  private modulesOfFrames: Int32Array | null = null;

  ownerOf(module: number): number {
    return this.modules[module * 2 + 1];
  }

  moduleName(module: number): string {
    return this.strings[this.modules[module * 2]];
  }

  functionName(frame: number): string {
    return this.strings[this.functions[this.functionOf(frame) * 3]];
  }

  pathOf(file: number): string {
    return this.strings[this.files[file * 3]];
  }

  shortPathOf(file: number): string {
    return this.strings[this.files[file * 3 + 1]];
  }

  /** `store.py:18`; nothing for what is in no file. */
  place(frame: number): string {
    const short = this.shortPathOf(this.fileOf(frame));
    const line = this.lineOf(frame);
    if (short === "") return "";
    return line > 0 ? `${short}:${line}` : short;
  }
}
