import assert from "node:assert/strict";
import { test } from "node:test";
import { expression, findMatches, matchKeys } from "../../src/search.ts";
import { makeShape } from "../../src/shape.ts";
import { recordingOf } from "./model.ts";

test("what is on paths with a match is counted once, also where the frame is folded away", () => {
  const { recording, nodes } = recordingOf(["o1 s1 s2 o1", "o1 s3", "p1 s1"]);
  const now = new Float64Array(recording.nodes).fill(1);
  now[0] = 0;
  const shape = makeShape(recording, { threads: "apart", recursion: "whole", modules: { o2: "folded" } });
  const pattern = expression("s1");
  assert.ok(pattern instanceof RegExp);
  const { keys, count } = matchKeys(recording, pattern);
  assert.equal(count, 1);
  const { total, hits } = findMatches(recording, shape, now, keys);
  assert.equal(total, 4);
  assert.equal(hits[shape.nodeOf[nodes.get("o1 s1") as number]], 1);
  assert.equal(hits[0], 0);
});

test("small letters find capitals, capitals only themselves, and what is no expression is said", () => {
  const of = (text: string, name: string): boolean => {
    const pattern = expression(text);
    return pattern instanceof RegExp && pattern.test(name);
  };
  assert.ok(of("index", "Index.add"));
  assert.ok(!of("Index", "index"));
  assert.equal(typeof expression("("), "string");
});
