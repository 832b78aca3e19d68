import assert from "node:assert/strict";
import { test } from "node:test";
import { Callees } from "../../src/callees.ts";
import { boxAt, layout, REST } from "../../src/layout.ts";
import { makeShape } from "../../src/shape.ts";
import { extent } from "../../src/tree.ts";
import { random, recordingOf } from "./model.ts";

function wide(children: number[]): Callees {
  const paths = children.map((_, at) => `o0 o${at + 1}`);
  const { recording, nodes } = recordingOf(paths);
  const now = new Float64Array(recording.nodes);
  children.forEach((bytes, at) => {
    now[nodes.get(paths[at]) as number] = bytes;
  });
  const shape = makeShape(recording, { threads: "apart", recursion: "whole", modules: {} });
  return new Callees(shape, { now, before: null }, "change");
}

test("no box is narrower than a pixel, and what is left out is one box", () => {
  const tree = wide([500, 300, ...Array.from({ length: 200 }, () => 1)]);
  const made = layout(tree, { left: 0, right: 1 }, 100);
  const last = made.rows[3] - made.rows[2];
  assert.equal(last, 3);
  assert.equal(made.nodes[made.count - 1], REST);
  assert.ok(Math.abs(made.widths[made.count - 1] - 0.2) < 1e-9);
  for (let box = 0; box < made.count; box += 1) assert.ok(made.widths[box] * 100 >= 1);
});

test("closer up, what was too narrow is drawn", () => {
  const tree = wide([500, 300, ...Array.from({ length: 200 }, () => 1)]);
  const made = layout(tree, { left: 0.8, right: 0.85 }, 1000);
  assert.equal(made.rows[3] - made.rows[2], 50);
});

test("boxes of a row come from left to right, and each is found where it is", () => {
  const next = random(7);
  const tree = wide(Array.from({ length: 60 }, () => 1 + next(1000)));
  const made = layout(tree, { left: 0, right: 1 }, 2000);
  for (let row = 0; row + 1 < made.rows.length; row += 1) {
    let right = 0;
    for (let box = made.rows[row]; box < made.rows[row + 1]; box += 1) {
      assert.ok(made.lefts[box] >= right - 1e-12);
      right = made.lefts[box] + made.widths[box];
      assert.equal(boxAt(made, row, made.lefts[box] + made.widths[box] / 2), box);
      const [left, width] = extent(tree, made.nodes[box]);
      assert.ok(Math.abs(left - made.lefts[box]) < 1e-9 && Math.abs(width - made.widths[box]) < 1e-9);
    }
  }
  assert.equal(boxAt(made, 9, 0.5), -2);
});

test("nothing has one box", () => {
  const made = layout(wide([0]), { left: 0, right: 1 }, 500);
  assert.equal(made.count, 1);
  assert.equal(made.rows.length, 2);
});
