// From a state to what is drawn: shapes, figures and trees, each made again only when what it depends on has changed.

import { Callees, type Weights } from "./callees.ts";
import { Callers } from "./callers.ts";
import { type Growth, growthOf, weightsOf } from "./figures.ts";
import type { Changes, Recording } from "./recording.ts";
import { expression, findMatches, matchKeys } from "./search.ts";
import { makeShape, type Shape } from "./shape.ts";
import type { State } from "./state.ts";
import { find, pathOf, type Tree } from "./tree.ts";

export interface Found {
  frames: number;
  total: number;
  isHit: (node: number) => boolean;
}

export interface View {
  state: State;
  shape: Shape;
  weights: Weights;
  callees: Callees;
  tree: Tree;
  zoomed: number;
  isDifference: boolean;
  /** What the search finds; a text that says what is wrong with it; nothing without one. */
  found: Found | string | null;
  /** How fast each frame's memory grows; made when it is asked for, as what follows. */
  growth: () => Growth | null;
  /** Figures by module, of frames that allocated. */
  modules: () => Float64Array;
}

/** Keeps the last answer, and gives it again as long as the question is the same. */
class Kept<T> {
  private key: string | null = null;
  private value: T | undefined;

  get(key: string, make: () => T): T {
    if (key !== this.key) {
      this.value = make();
      this.key = key;
    }
    return this.value as T;
  }

  forget(): void {
    this.key = null;
  }
}

export class Views {
  changes: Changes | null = null;
  private readonly shapes = new Kept<Shape>();
  private readonly weights = new Kept<Promise<Weights>>();
  private readonly callees = new Kept<Callees>();
  private readonly callers = new Kept<Callers>();
  private readonly keys = new Kept<{ keys: Uint8Array; count: number } | string | null>();
  private readonly found = new Kept<Found | string | null>();
  private readonly growth = new Kept<Growth | null>();
  private readonly modules = new Kept<Float64Array>();

  constructor(private readonly recording: Recording) {}

  /** Says that what happened over time is known now. */
  know(changes: Changes | null): void {
    this.changes = changes;
    this.growth.forget();
    this.weights.forget();
    this.callees.forget();
  }

  async of(state: State): Promise<View> {
    const { recording, changes } = this;
    const ofShape = JSON.stringify([state.threads, state.recursion, state.modules]);
    const ofWeights = JSON.stringify([state.metric, state.unit, state.range, state.compare, changes !== null]);
    const weights = await this.weights.get(ofWeights, () => weightsOf(recording, changes, state));
    const shape = this.shapes.get(ofShape, () => makeShape(recording, state));
    const ofTree = ofShape + ofWeights + state.width;
    const callees = this.callees.get(ofTree, () => new Callees(shape, weights, state.width));
    const tree: Tree = state.inverted ? this.callers.get(ofTree, () => new Callers(callees, state.width)) : callees;
    const keys = this.keys.get(state.search, () => {
      if (state.search === "") return null;
      const pattern = expression(state.search);
      return typeof pattern === "string" ? pattern : matchKeys(recording, pattern);
    });
    const found = this.found.get(JSON.stringify([ofTree, state.search, state.inverted]), (): Found | string | null => {
      if (keys === null || typeof keys === "string") return keys;
      const { total, hits } = findMatches(recording, shape, weights.now, keys.keys);
      const isHit = state.inverted
        ? (node: number): boolean => keys.keys[tree.key(node)] === 1
        : (node: number): boolean => hits[node] === 1;
      return { frames: keys.count, total, isHit };
    });
    const growth = (): Growth | null =>
      this.growth.get(JSON.stringify([state.range, changes !== null]), () => {
        if (!changes) return null;
        const [from, to] = state.range ?? [0, changes.ends.length];
        return growthOf(recording, changes, from, to);
      });
    const modules = (): Float64Array =>
      this.modules.get(ofWeights, () => {
        const sums = new Float64Array(recording.moduleCount);
        const { frameModules, nodeFrames } = recording;
        for (let node = 1; node < recording.nodes; node += 1) sums[frameModules[nodeFrames[node]]] += weights.now[node];
        return sums;
      });
    return {
      state,
      shape,
      weights,
      callees,
      tree,
      zoomed: zoomedNode(state, shape, tree),
      isDifference: weights.before !== null,
      found,
      growth,
      modules,
    };
  }
}

/** The node that a state's zoom is about. */
function zoomedNode(state: State, shape: Shape, tree: Tree): number {
  const { zoom, inverted } = state;
  if (zoom.startsWith("n") && !inverted) {
    const node = Number(zoom.slice(1));
    return node < shape.nodeOf.length ? shape.nodeOf[node] : 0;
  }
  if (zoom.startsWith("p") && inverted) return find(tree, zoom.slice(1).split(".").map(Number));
  return 0;
}

/** How a state writes a zoom to `node`. */
export function zoomTo(view: View, node: number): string {
  if (node <= 0) return "";
  if (!view.state.inverted) return `n${view.shape.first[node]}`;
  return `p${pathOf(view.tree, node).join(".")}`;
}
