import assert from "node:assert/strict";
import { test } from "node:test";
import { expression, findMatches, matchKeys, searched } from "../../src/search.ts";
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

test("whatever is searched, each frame is found by its own text", () => {
  const paths = Array.from({ length: 40 }, (_, at) => `o${at % 7} s${at % 5} p${at}`);
  const { recording } = recordingOf(paths);
  for (let frame = 0; frame < recording.frameCount; frame += 1) recording.frames[frame * 2 + 1] = (frame * 13) % 40;
  const patterns = [
    "s",
    "s1",
    "o|p",
    "p1",
    "p.*o",
    ":1",
    "1",
    "p1 p:1",
    "p\\d",
    "s$",
    "o|:2",
    "[ps].*[os]",
    "[p|o]s",
    "s\\.",
    "[1]s",
    "[ps]1",
    "x|",
    "p.",
    "\\d+",
    "o\\b",
  ];
  for (const text of patterns) {
    const pattern = expression(text);
    assert.ok(pattern instanceof RegExp);
    const { keys } = matchKeys(recording, pattern);
    for (let frame = 0; frame < recording.frameCount; frame += 1) {
      assert.equal(
        keys[frame] === 1,
        pattern.test(searched(recording, frame)),
        `${text}: ${searched(recording, frame)}`,
      );
    }
  }
});
