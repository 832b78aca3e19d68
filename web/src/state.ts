// What is shown. A state is a value: each change makes a new one, so undoing is going back in a list, and a link to a
// view is the state written into the address.

import type { Unit } from "./format.ts";

export type Metric = "live" | "peak" | "allocated" | "temporary";
export type Shown = "whole" | "folded" | "hidden";

export interface State {
  metric: Metric;
  unit: Unit;
  /** Two span boundaries: what is between them is shown. */
  range: [number, number] | null;
  /** Whether a range shows how its end differs from its beginning, rather than what was gained in it. */
  compare: boolean;
  /** A node of the recording (`n`), or keys from the root of an inverted graph (`p`); empty for everything. */
  zoom: string;
  inverted: boolean;
  search: string;
  threads: "apart" | "together";
  recursion: "whole" | "folded";
  /** Modules by number, and owners as `o2`, where they are not as they are by default. */
  modules: Record<string, Shown>;
  /** Of a difference: in which order boxes are wide, and what colours tell. */
  width: "change" | "new" | "old";
  colors: "absolute" | "relative";
  sort: string;
  filter: string;
  table: "sites" | "graph";
  /** The frame whose source is shown. */
  selected: number;
}

export const INITIAL: State = {
  metric: "live",
  unit: "bytes",
  range: null,
  compare: false,
  zoom: "",
  inverted: false,
  search: "",
  threads: "apart",
  recursion: "whole",
  modules: { o2: "folded", o3: "folded" },
  width: "change",
  colors: "absolute",
  sort: "-size",
  filter: "",
  table: "sites",
  selected: -1,
};

type Listener = (state: State, before: State) => void;

/** How many changes can be taken back. */
const MOST_UNDONE = 200;

export class Store {
  private listeners: Listener[] = [];
  private past: State[] = [];
  private future: State[] = [];

  constructor(private now: State) {}

  get state(): State {
    return this.now;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  listen(listener: Listener): void {
    this.listeners.push(listener);
  }

  /** Changes the state. With `joins`, this and the change before it (of the same kind) are undone together. */
  set(changes: Partial<State>, joins = ""): void {
    const next = { ...this.now, ...changes };
    if (JSON.stringify(next) === JSON.stringify(this.now)) return;
    const isJoined = joins !== "" && joins === this.joined && this.past.length > 0;
    if (!isJoined) this.past.push(this.now);
    if (this.past.length > MOST_UNDONE) this.past.shift();
    this.joined = joins;
    this.future = [];
    this.go(next);
  }

  private joined = "";

  undo(): void {
    const before = this.past.pop();
    if (!before) return;
    this.future.push(this.now);
    this.joined = "";
    this.go(before);
  }

  redo(): void {
    const next = this.future.pop();
    if (!next) return;
    this.past.push(this.now);
    this.joined = "";
    this.go(next);
  }

  /** Goes to where the graph was before it was last zoomed. */
  back(): void {
    for (let at = this.past.length - 1; at >= 0; at -= 1) {
      if (this.past[at].zoom !== this.now.zoom) {
        this.set({ zoom: this.past[at].zoom, inverted: this.past[at].inverted });
        return;
      }
    }
    this.set({ zoom: "" });
  }

  private go(next: State): void {
    const before = this.now;
    this.now = next;
    for (const listener of this.listeners) listener(next, before);
  }
}

/** The part of an address after `#` that brings this view back. */
export function toHash(state: State): string {
  const parts = new URLSearchParams();
  for (const key of Object.keys(INITIAL) as (keyof State)[]) {
    const value = state[key];
    const text = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
    const initial = INITIAL[key];
    const usual = typeof initial === "object" && initial !== null ? JSON.stringify(initial) : String(initial);
    if (text !== usual) parts.set(key, text);
  }
  return parts.toString();
}

const CHOICES: Partial<Record<keyof State, readonly string[]>> = {
  metric: ["live", "peak", "allocated", "temporary"],
  unit: ["bytes", "blocks"],
  threads: ["apart", "together"],
  recursion: ["whole", "folded"],
  width: ["change", "new", "old"],
  colors: ["absolute", "relative"],
  table: ["sites", "graph"],
};

/** The state that an address asks for. Anybody may have written it: what makes no sense is left out. */
export function fromHash(hash: string, initial: State = INITIAL): State {
  const state: State = { ...initial };
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const put = state as unknown as Record<string, unknown>;
  for (const [key, text] of parts) {
    const choices = Object.hasOwn(CHOICES, key) ? CHOICES[key as keyof State] : undefined;
    if (choices) {
      if (choices.includes(text)) put[key] = text;
    } else if (key === "compare" || key === "inverted") {
      put[key] = text === "true";
    } else if (key === "selected") {
      if (/^\d{1,9}$/.test(text)) put[key] = Number(text);
    } else if (key === "zoom") {
      if (/^(n\d+|p\d+(\.\d+)*)?$/.test(text)) put[key] = text;
    } else if (key === "search" || key === "filter") {
      put[key] = text.slice(0, 1000);
    } else if (key === "sort") {
      if (/^[+-][a-z]+$/.test(text)) put[key] = text;
    } else if (key === "range") {
      const found = /^\[(\d{1,6}),(\d{1,6})\]$/.exec(text);
      if (found) put[key] = [Number(found[1]), Number(found[2])];
    } else if (key === "modules") {
      put[key] = modulesOf(text);
    }
  }
  return state;
}

function modulesOf(text: string): Record<string, Shown> {
  const modules: Record<string, Shown> = {};
  try {
    for (const [key, value] of Object.entries(JSON.parse(text) as object)) {
      if (/^o?\d{1,7}$/.test(key) && ["whole", "folded", "hidden"].includes(value)) modules[key] = value as Shown;
    }
  } catch {
    return { ...INITIAL.modules };
  }
  return modules;
}
