// The graph of what was called: a shape with figures. A node's figure is what it and all that it called have.

import type { Shape } from "./shape.ts";
import type { Children, Tree } from "./tree.ts";

/** How wide boxes of a difference are. */
export type Width = "change" | "new" | "old";

/** Figures of the recording's nodes, without what they call. */
export interface Weights {
  now: Float64Array;
  /** Of a difference: the figures before. */
  before: Float64Array | null;
}

/** Puts figures of the recording's nodes on those of a shape. */
function onShape(shape: Shape, of: Float64Array): Float64Array {
  const sums = new Float64Array(shape.count);
  const { nodeOf } = shape;
  for (let node = 0; node < of.length; node += 1) sums[nodeOf[node]] += of[node];
  return sums;
}

/** Adds what nodes have to their callers, in place. */
function addUp(shape: Shape, sums: Float64Array): void {
  const { parents } = shape;
  for (let node = shape.count - 1; node > 0; node -= 1) sums[parents[node]] += sums[node];
}

export class Callees implements Tree {
  readonly selfNow: Float64Array;
  readonly selfBefore: Float64Array | null;
  private readonly nows: Float64Array;
  private readonly befores: Float64Array | null;
  /** How wide nodes are. */
  readonly values: Float64Array;
  private readonly list: Int32Array;
  private readonly starts: Int32Array;
  private readonly isSorted: Uint8Array;

  constructor(
    readonly shape: Shape,
    weights: Weights,
    width: Width,
  ) {
    this.selfNow = onShape(shape, weights.now);
    this.selfBefore = weights.before && onShape(shape, weights.before);
    this.nows = this.selfNow.slice();
    addUp(shape, this.nows);
    this.befores = this.selfBefore?.slice() ?? null;
    if (this.befores) addUp(shape, this.befores);
    if (!this.befores || width === "new") this.values = this.nows;
    else if (width === "old") this.values = this.befores;
    else {
      this.values = new Float64Array(shape.count);
      for (let node = 0; node < shape.count; node += 1) this.values[node] = this.changeOf(node);
      addUp(shape, this.values);
    }
    const { parents, count } = shape;
    this.starts = new Int32Array(count + 1);
    for (let node = 1; node < count; node += 1) if (this.values[node] > 0) this.starts[parents[node] + 1] += 1;
    for (let node = 0; node < count; node += 1) this.starts[node + 1] += this.starts[node];
    this.list = new Int32Array(this.starts[count]);
    const next = this.starts.slice(0, count);
    for (let node = 1; node < count; node += 1) if (this.values[node] > 0) this.list[next[parents[node]]++] = node;
    this.isSorted = new Uint8Array(count);
  }

  private changeOf(node: number): number {
    return Math.abs(this.selfNow[node] - (this.selfBefore ? this.selfBefore[node] : 0));
  }

  key(node: number): number {
    return this.shape.keys[node];
  }

  parent(node: number): number {
    return this.shape.parents[node];
  }

  value(node: number): number {
    return this.values[node];
  }

  self(node: number): number {
    return this.selfNow[node];
  }

  now(node: number): number {
    return this.nows[node];
  }

  before(node: number): number {
    return this.befores ? this.befores[node] : this.nows[node];
  }

  children(node: number): Children {
    const start = this.starts[node];
    const end = this.starts[node + 1];
    if (this.isSorted[node] === 0) {
      this.isSorted[node] = 1;
      if (end - start > 1) {
        const { values } = this;
        this.list.subarray(start, end).sort((one, other) => values[other] - values[one] || one - other);
      }
    }
    return { list: this.list, start, end };
  }
}
