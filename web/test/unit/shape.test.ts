import assert from "node:assert/strict";
import { test } from "node:test";
import { Callees } from "../../src/callees.ts";
import { Callers } from "../../src/callers.ts";
import type { Recording } from "../../src/recording.ts";
import { type Choices, makeShape } from "../../src/shape.ts";
import type { Tree } from "../../src/tree.ts";
import { random, recordingOf } from "./model.ts";

const WHOLE: Choices = { threads: "apart", recursion: "whole", modules: {} };

/** All paths of a tree with what they have with all below. */
function pathsOf(recording: Recording, tree: Tree): Map<string, number> {
  const found = new Map<string, number>();
  const nameOf = (key: number): string =>
    key >= recording.frameCount ? `[${recording.moduleName(key - recording.frameCount)}]` : recording.functionName(key);
  const walk = (node: number, path: string[]): void => {
    const { list, start, end } = tree.children(node);
    for (const child of Array.from(list.subarray(start, end))) {
      const next = [...path, nameOf(tree.key(child))];
      const text = next.join(" ");
      assert.ok(!found.has(text), `${text} is there once`);
      found.set(text, tree.value(child));
      walk(child, next);
    }
  };
  walk(0, []);
  return found;
}

/** The same in the plainest way: each path is rewritten as text. */
function rewritten(paths: [string, number][], rewrite: (words: string[]) => string[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [path, bytes] of paths) {
    const words = rewrite(path.split(" "));
    for (let end = 1; end <= words.length; end += 1) {
      const part = words.slice(0, end).join(" ");
      sums.set(part, (sums.get(part) ?? 0) + bytes);
    }
  }
  return sums;
}

function fold(words: string[], letter: string): string[] {
  const folded: string[] = [];
  for (const word of words) {
    const is = word[0] === letter ? `[${letter}]` : word;
    if (is.startsWith("[") && folded.at(-1) === is) continue;
    folded.push(is);
  }
  return folded;
}

/** From the import system on, up to the program's own code, everything is one word. */
function foldImports(words: string[]): string[] {
  const folded: string[] = [];
  for (const word of words) {
    if (folded.at(-1) === "[i]" && word[0] !== "o") continue;
    folded.push(word[0] === "i" ? "[i]" : word);
  }
  return folded;
}

/** What a function calls until it runs again is folded into where it ran first. */
function foldRecursion(words: string[]): string[] {
  let folded: string[] = [];
  for (const word of words) {
    const at = folded.indexOf(word);
    folded = at >= 0 ? folded.slice(0, at + 1) : [...folded, word];
  }
  return folded;
}

function drawn(seed: number): [string, number][] {
  const next = random(seed);
  const paths: [string, number][] = [];
  for (let count = 1 + next(40); count > 0; count -= 1) {
    const words = Array.from({ length: 1 + next(7) }, () => `${"ospi"[next(4)]}${next(3)}`);
    if (next(2) === 0) words.unshift(`t${next(2)}`);
    paths.push([words.join(" "), 1 + next(1000)]);
  }
  return paths;
}

function treeOf(paths: [string, number][], choices: Choices): { recording: Recording; callees: Callees } {
  const { recording, nodes } = recordingOf(paths.map(([path]) => path));
  const now = new Float64Array(recording.nodes);
  for (const [path, bytes] of paths) now[nodes.get(path) as number] += bytes;
  return { recording, callees: new Callees(makeShape(recording, choices), { now, before: null }, "change") };
}

const KINDS: [string, Choices, (words: string[]) => string[]][] = [
  ["whole", WHOLE, (words) => words],
  ["a module folded", { ...WHOLE, modules: { o2: "folded" } }, (words) => fold(words, "s")],
  ["two folded", { ...WHOLE, modules: { o2: "folded", 1: "folded" } }, (words) => fold(fold(words, "s"), "p")],
  ["imports folded", { ...WHOLE, modules: { o3: "folded" } }, foldImports],
  ["a module left out", { ...WHOLE, modules: { o3: "hidden" } }, (words) => words.filter((word) => word[0] !== "i")],
  ["threads together", { ...WHOLE, threads: "together" }, (words) => words.filter((word) => word[0] !== "t")],
  ["recursion folded", { ...WHOLE, recursion: "folded" }, foldRecursion],
];

for (const [name, choices, rewrite] of KINDS) {
  test(`a graph with ${name} has the sums of rewritten paths`, () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const paths = drawn(seed);
      const { recording, callees } = treeOf(paths, choices);
      const expected = rewritten(
        paths.map(([path, bytes]): [string, number] => [path, bytes]),
        rewrite,
      );
      expected.delete("");
      assert.deepEqual(pathsOf(recording, callees), expected, `seed ${seed}`);
      assert.equal(
        callees.now(0),
        paths.reduce((sum, [, bytes]) => sum + bytes, 0),
      );
    }
  });
}

test("an inverted graph has the sums of reversed paths", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const paths = drawn(seed);
    const { recording, callees } = treeOf(paths, { ...WHOLE, modules: { o2: "folded" } });
    const inverted = new Callers(callees, "change");
    const expected = rewritten(paths, (words) => fold(words, "s").reverse());
    assert.deepEqual(pathsOf(recording, inverted), expected, `seed ${seed}`);
  }
});

test("boxes of a difference are as wide as what changed in them", () => {
  const { recording, nodes } = recordingOf(["o1 o2", "o1 o3"]);
  const now = new Float64Array(recording.nodes);
  const before = new Float64Array(recording.nodes);
  const at = (path: string): number => nodes.get(path) as number;
  now[at("o1 o2")] = 30;
  before[at("o1 o2")] = 10;
  before[at("o1 o3")] = 15;
  const shape = makeShape(recording, WHOLE);
  const tree = new Callees(shape, { now, before }, "change");
  assert.equal(tree.value(shape.nodeOf[at("o1")]), 35);
  assert.equal(tree.now(shape.nodeOf[at("o1")]) - tree.before(shape.nodeOf[at("o1")]), 5);
  const inverted = new Callers(tree, "change");
  assert.equal(inverted.value(0), 35);
  assert.equal(inverted.children(0).end, 2);
});

test("a recursion of a hundred thousand calls is no recursion of ours", () => {
  const { recording } = recordingOf(["o1"]);
  const deep = 100_000;
  recording.callers = Int32Array.from({ length: deep }, (_, node) => Math.max(0, node - 1));
  recording.nodeFrames = new Int32Array(deep);
  const now = new Float64Array(deep);
  now[deep - 1] = 8;
  const whole = new Callees(makeShape(recording, WHOLE), { now, before: null }, "change");
  assert.equal(whole.value(1), 8);
  const folded = makeShape(recording, { ...WHOLE, recursion: "folded" });
  assert.equal(folded.count, 2);
});
