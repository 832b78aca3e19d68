// The tree's shape: what was recorded, with modules folded or hidden, threads added up, recursion folded.
//
// It depends on no figure, so it is made once for each choice, in one pass over the call paths, callers first. Two call
// paths become one node where what tells them apart is gone; only below such places is a table asked.

import { FOLDED, IMPORT_SYSTEM, PROGRAM, PYTHON, type Recording, SMALLER_PATHS, THREAD } from "./recording.ts";
import type { Shown } from "./state.ts";

export interface Choices {
  threads: "apart" | "together";
  recursion: "whole" | "folded";
  modules: Record<string, Shown>;
}

export interface Shape {
  /** Node of the shape for each node of the recording. */
  nodeOf: Int32Array;
  parents: Int32Array;
  /** Frames; beyond all frames, folded modules. */
  keys: Int32Array;
  count: number;
  /** A node of the recording for each node of the shape: the first that became it. */
  first: Int32Array;
}

/** How each module is shown. */
export function shownModules(recording: Recording, choices: Record<string, Shown>): Shown[] {
  const shown: Shown[] = [];
  for (let module = 0; module < recording.moduleCount; module += 1) {
    shown.push(choices[String(module)] ?? choices[`o${recording.ownerOf(module)}`] ?? "whole");
  }
  return shown;
}

const WHOLE = 0;
const HIDDEN = 1;
/** Folded modules are this and more. */
const FIRST_FOLDED = 2;

/** For each frame whether it stands for itself, is left out, or is part of a folded module. */
function ways(recording: Recording, choices: Choices): Int32Array {
  const shown = shownModules(recording, choices.modules);
  const found = new Int32Array(recording.frameCount);
  for (let frame = 0; frame < found.length; frame += 1) {
    const kind = recording.kindOf(frame);
    const module = recording.moduleOf(frame);
    if (kind === THREAD) found[frame] = choices.threads === "together" ? HIDDEN : WHOLE;
    else if (kind !== PYTHON || shown[module] === "whole") found[frame] = WHOLE;
    else found[frame] = shown[module] === "hidden" ? HIDDEN : FIRST_FOLDED + module;
  }
  return found;
}

/** Finds children by parent and key. */
class Table {
  private slots: Int32Array;
  private mask: number;

  constructor(
    private readonly parents: Int32Array,
    private readonly keys: Int32Array,
    expected: number,
  ) {
    let capacity = 1024;
    while (capacity < expected * 2) capacity *= 2;
    this.slots = new Int32Array(capacity);
    this.mask = capacity - 1;
  }

  /** The slot of the child, or the free one where it belongs. */
  slot(parent: number, key: number): number {
    let at = (Math.imul(parent, 0x9e3779b1) ^ Math.imul(key, 0x85ebca6b)) >>> 0;
    at = (at ^ (at >>> 15)) & this.mask;
    for (;;) {
      const node = this.slots[at];
      if (node === 0 || (this.parents[node] === parent && this.keys[node] === key)) return at;
      at = (at + 1) & this.mask;
    }
  }

  get(slot: number): number {
    return this.slots[slot];
  }

  set(slot: number, node: number): void {
    this.slots[slot] = node;
  }
}

export function makeShape(recording: Recording, choices: Choices): Shape {
  const nodes = recording.nodes;
  const { callers, nodeFrames } = recording;
  const way = ways(recording, choices);
  const frames = recording.frameCount;
  const parents = new Int32Array(nodes);
  const keys = new Int32Array(nodes);
  const first = new Int32Array(nodes);
  const nodeOf = new Int32Array(nodes);
  keys[0] = -1;
  // Below these, several call paths may come to one node.
  const isShared = new Uint8Array(nodes);
  let special = 0;
  const losesChild = new Uint8Array(nodes);
  for (let node = 1; node < nodes; node += 1) {
    if (way[nodeFrames[node]] !== WHOLE) {
      special += 1;
      losesChild[callers[node]] = 1;
    }
  }
  const table = new Table(parents, keys, special === 0 && choices.recursion === "whole" ? 0 : nodes);
  const recursion = choices.recursion === "folded" ? recursiveCallers(recording, way) : null;
  isShared[0] = losesChild[0];
  const isImport = new Uint8Array(frames + recording.moduleCount);
  for (let module = 0; module < recording.moduleCount; module += 1) {
    if (recording.ownerOf(module) === IMPORT_SYSTEM) isImport[frames + module] = 1;
  }
  const isOwn = new Uint8Array(frames);
  for (let frame = 0; frame < frames; frame += 1) {
    if (recording.ownerOf(recording.moduleOf(frame)) === PROGRAM) isOwn[frame] = 1;
  }
  let count = 1;
  for (let node = 1; node < nodes; node += 1) {
    const frame = nodeFrames[node];
    const parent = nodeOf[callers[node]];
    const how = way[frame];
    if (how === HIDDEN) {
      nodeOf[node] = parent;
      continue;
    }
    if (recursion && recursion[node] > 0) {
      nodeOf[node] = nodeOf[recursion[node]];
      continue;
    }
    const key = how === WHOLE ? frame : frames + how - FIRST_FOLDED;
    if (how !== WHOLE && keys[parent] === key) {
      nodeOf[node] = parent;
      continue;
    }
    // Folded, an import is one box with all that it runs, up to the program's own code.
    if (isImport[keys[parent]] === 1 && isOwn[frame] === 0) {
      nodeOf[node] = parent;
      continue;
    }
    let slot = -1;
    if (how !== WHOLE || isShared[parent] || recursion) {
      slot = table.slot(parent, key);
      const found = table.get(slot);
      if (found > 0) {
        nodeOf[node] = found;
        continue;
      }
    }
    parents[count] = parent;
    keys[count] = key;
    first[count] = node;
    isShared[count] = how !== WHOLE || isShared[parent] || losesChild[node] ? 1 : 0;
    if (slot >= 0) table.set(slot, count);
    nodeOf[node] = count;
    count += 1;
  }
  return { nodeOf, parents: parents.subarray(0, count), keys: keys.subarray(0, count), first, count };
}

/**
 * For each node the caller that runs the same function, or 0: what recursion is folded into. The path then goes on from
 * there, so what was called in between is left. Goes through the tree depth first; what a node changes in the folded
 * path is put back when it is left.
 */
function recursiveCallers(recording: Recording, way: Int32Array): Int32Array {
  const { callers, nodeFrames, nodes } = recording;
  const found = new Int32Array(nodes);
  const firstChild = new Int32Array(nodes);
  const nextSibling = new Int32Array(nodes);
  for (let node = nodes - 1; node > 0; node -= 1) {
    nextSibling[node] = firstChild[callers[node]];
    firstChild[callers[node]] = node;
  }
  // The folded path: functions (−1 for what cannot be folded) and nodes, and where in it each function is.
  const functions: number[] = [];
  const members: number[] = [];
  const places = new Int32Array(recording.functions.length / 3).fill(-1);
  let depth = 0;
  // What was before each node that is entered and not left: depth, function, member, place.
  const undo: number[] = [];
  const enter = (node: number): void => {
    const frame = nodeFrames[node];
    const kind = recording.kindOf(frame);
    const canFold = way[frame] === WHOLE && kind !== THREAD && kind !== SMALLER_PATHS && kind !== FOLDED;
    const runs = canFold ? recording.functionOf(frame) : -1;
    const place = canFold ? places[runs] : -1;
    undo.push(depth, functions[depth] ?? -1, members[depth] ?? 0, place);
    if (canFold && place >= 0 && place < depth && functions[place] === runs) {
      found[node] = members[place];
      depth = place + 1;
    } else if (way[frame] !== HIDDEN) {
      functions[depth] = runs;
      members[depth] = node;
      if (canFold) places[runs] = depth;
      depth += 1;
    }
  };
  const leave = (node: number): void => {
    const place = undo.pop() as number;
    const member = undo.pop() as number;
    const runs = undo.pop() as number;
    depth = undo.pop() as number;
    functions[depth] = runs;
    members[depth] = member;
    const frame = nodeFrames[node];
    if (way[frame] === WHOLE) places[recording.functionOf(frame)] = place;
  };
  let node = firstChild[0];
  while (node > 0) {
    enter(node);
    if (firstChild[node] > 0) {
      node = firstChild[node];
      continue;
    }
    // Leave this node, and every caller whose last child it was.
    leave(node);
    while (nextSibling[node] === 0) {
      node = callers[node];
      if (node === 0) return found;
      leave(node);
    }
    node = nextSibling[node];
  }
  return found;
}
