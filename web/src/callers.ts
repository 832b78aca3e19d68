// The graph turned around: what allocated, and below it who called it. It has as many nodes as all call paths have
// frames, so a node's callers are made when somebody looks at them.

import type { Callees, Width } from "./callees.ts";
import { type Children, FloatList, IntList, type Tree } from "./tree.ts";

export class Callers implements Tree {
  private readonly keys = new IntList();
  private readonly parents = new IntList();
  private readonly nows = new FloatList();
  private readonly befores = new FloatList();
  private readonly values = new FloatList();
  /** The members of each node: call paths, each seen from one of its frames. */
  private readonly members: (Int32Array | null)[] = [];
  private readonly lists: (Int32Array | null)[] = [];
  private readonly selfChange: Float64Array;
  /** For each member of a node, the call path that its figures are of. */
  private readonly origins: (Int32Array | null)[] = [];

  constructor(
    private readonly of: Callees,
    private readonly width: Width,
  ) {
    const { shape, selfNow, selfBefore } = of;
    this.selfChange = new Float64Array(shape.count);
    let there = 0;
    for (let node = 0; node < shape.count; node += 1) {
      const change = selfBefore ? Math.abs(selfNow[node] - selfBefore[node]) : selfNow[node];
      this.selfChange[node] = change;
      if (this.weight(node) > 0) there += 1;
    }
    const all = new Int32Array(there);
    let at = 0;
    for (let node = 0; node < shape.count; node += 1) if (this.weight(node) > 0) all[at++] = node;
    this.add(-1, -1, all, all);
  }

  private weight(node: number): number {
    const { selfNow, selfBefore } = this.of;
    if (!selfBefore || this.width === "new") return selfNow[node];
    return this.width === "old" ? selfBefore[node] : this.selfChange[node];
  }

  private add(parent: number, key: number, members: Int32Array, origins: Int32Array): number {
    const { selfNow, selfBefore } = this.of;
    let [now, before, value] = [0, 0, 0];
    for (const origin of origins) {
      now += selfNow[origin];
      if (selfBefore) before += selfBefore[origin];
      value += this.weight(origin);
    }
    this.parents.push(parent);
    this.keys.push(key);
    this.nows.push(now);
    this.befores.push(selfBefore ? before : now);
    this.values.push(value);
    this.members.push(members);
    this.origins.push(origins);
    this.lists.push(null);
    return this.members.length - 1;
  }

  key(node: number): number {
    return this.keys.data[node];
  }

  parent(node: number): number {
    return Math.max(this.parents.data[node], 0);
  }

  value(node: number): number {
    return this.values.data[node];
  }

  self(node: number): number {
    return node > 0 && this.parents.data[node] === 0 ? this.nows.data[node] : 0;
  }

  now(node: number): number {
    return this.nows.data[node];
  }

  before(node: number): number {
    return this.befores.data[node];
  }

  children(node: number): Children {
    const list = this.lists[node] ?? this.makeChildren(node);
    return { list, start: 0, end: list.length };
  }

  private makeChildren(node: number): Int32Array {
    const { parents, keys } = this.of.shape;
    const members = this.members[node] as Int32Array;
    const origins = this.origins[node] as Int32Array;
    const groups = new Map<number, { members: IntList; origins: IntList }>();
    for (let at = 0; at < members.length; at += 1) {
      // The members of the root are the call paths themselves; those of others go on to their callers.
      const next = node === 0 ? members[at] : parents[members[at]];
      if (next === 0) continue;
      let group = groups.get(keys[next]);
      if (!group) {
        group = { members: new IntList(), origins: new IntList() };
        groups.set(keys[next], group);
      }
      group.members.push(next);
      group.origins.push(origins[at]);
    }
    const made: number[] = [];
    for (const [key, group] of groups) {
      const { members: of, origins: from } = group;
      made.push(this.add(node, key, of.data.slice(0, of.length), from.data.slice(0, from.length)));
    }
    const list = Int32Array.from(made);
    const values = this.values.data;
    list.sort((one, other) => values[other] - values[one] || one - other);
    this.lists[node] = list;
    // Never asked for again.
    this.members[node] = null;
    if (node > 0) this.origins[node] = null;
    return list;
  }
}
