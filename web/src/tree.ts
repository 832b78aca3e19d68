// What a graph is drawn of: the tree as it was recorded, or with its frames folded, or turned around.

/** Children of a node, those with the most first. */
export interface Children {
  list: Int32Array;
  start: number;
  end: number;
}

/** A tree with a figure for each node. Node 0 is the root. Numbers of children are higher than their parent's. */
export interface Tree {
  /** What a node shows: a frame, or beyond all frames a module. */
  key(node: number): number;
  parent(node: number): number;
  /** How wide the node is. */
  value(node: number): number;
  /** What the node has itself. */
  self(node: number): number;
  /** The figure now and before, of a difference; both are the value where there is none. */
  now(node: number): number;
  before(node: number): number;
  children(node: number): Children;
}

/** Keys of `node` and its callers, without the root; the outermost first. */
export function pathOf(tree: Tree, node: number): number[] {
  const keys: number[] = [];
  for (let at = node; at > 0; at = tree.parent(at)) keys.push(tree.key(at));
  return keys.reverse();
}

/** The node at which keys lead from the root; the last one on the way where they lead nowhere. */
export function find(tree: Tree, keys: readonly number[]): number {
  let node = 0;
  for (const key of keys) {
    const { list, start, end } = tree.children(node);
    let next = -1;
    for (let at = start; at < end && next < 0; at += 1) if (tree.key(list[at]) === key) next = list[at];
    if (next < 0) return node;
    node = next;
  }
  return node;
}

/** Where a node lies, as a part of the root: its left edge and its width. */
export function extent(tree: Tree, node: number): [number, number] {
  const whole = tree.value(0);
  if (node === 0 || whole <= 0) return [0, 1];
  let left = 0;
  for (let at = node; at > 0; at = tree.parent(at)) {
    const { list, start, end } = tree.children(tree.parent(at));
    for (let sibling = start; sibling < end && list[sibling] !== at; sibling += 1) left += tree.value(list[sibling]);
  }
  return [left / whole, tree.value(node) / whole];
}

/** A growing list of numbers. */
export class IntList {
  data = new Int32Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.data.length) {
      const larger = new Int32Array(this.data.length * 2);
      larger.set(this.data);
      this.data = larger;
    }
    this.data[this.length++] = value;
  }
}

export class FloatList {
  data = new Float64Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.data.length) {
      const larger = new Float64Array(this.data.length * 2);
      larger.set(this.data);
      this.data = larger;
    }
    this.data[this.length++] = value;
  }
}
