import assert from "node:assert/strict";
import { test } from "node:test";
import { growthOf, seriesOf, sumChanges } from "../../src/figures.ts";
import { changesOf, random, recordingOf } from "./model.ts";

test("growth is that of a straight line through the figures at the ends of spans", () => {
  const next = random(3);
  const { recording, nodes } = recordingOf(["o1 o2", "o1 o3", "o4 o2"]);
  const all = [...nodes.values()].filter((node) => node > 0);
  const ends = Array.from({ length: 30 }, (_, at) => (at + 1) * 2e6 + next(1e6));
  const spans = ends.map(() =>
    all.filter(() => next(3) > 0).map((node): [number, number, number] => [node, next(5000), next(3000)]),
  );
  const changes = changesOf(ends, spans);
  for (const [from, to] of [
    [0, 30],
    [5, 22],
    [10, 14],
  ]) {
    const growth = growthOf(recording, changes, from, to);
    assert.ok(growth);
    for (let frame = 0; frame < recording.frameCount; frame += 1) {
      const points: [number, number][] = [];
      for (let boundary = from; boundary <= to; boundary += 1) {
        let live = 0;
        for (const span of spans.slice(0, boundary)) {
          for (const [node, allocated, freed] of span) {
            if (recording.nodeFrames[node] === frame) live += allocated - freed;
          }
        }
        points.push([boundary === 0 ? 0 : ends[boundary - 1] / 60e6, live]);
      }
      const [slope, error] = line(points);
      assert.ok(
        Math.abs(slope - growth.slope[frame]) <= Math.abs(slope) * 1e-6 + 1e-3,
        `${slope} ${growth.slope[frame]}`,
      );
      assert.ok(Math.abs(error - growth.error[frame]) <= error * 1e-4 + 1e-2, `${error} ${growth.error[frame]}`);
    }
  }
});

/** Least squares, as in a textbook. */
function line(points: [number, number][]): [number, number] {
  const count = points.length;
  const mean = (of: number[]): number => of.reduce((sum, value) => sum + value, 0) / count;
  const [x, y] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
  const spread = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
  const slope = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0) / spread;
  const left = points.reduce((sum, [at, value]) => sum + (value - y - slope * (at - x)) ** 2, 0);
  return [slope, 2 * Math.sqrt(left / (count - 2) / spread)];
}

test("too few moments tell nothing of growth", () => {
  const { recording } = recordingOf(["o1"]);
  assert.equal(growthOf(recording, changesOf([1e6, 2e6], [[], []]), 0, 2), null);
});

test("a range has what was allocated and not freed in it", () => {
  const { recording, nodes } = recordingOf(["o1 o2"]);
  const node = nodes.get("o1 o2") as number;
  const changes = changesOf([1e6, 2e6, 3e6], [[[node, 100, 0]], [[node, 70, 20]], [[node, 0, 90]]]);
  const gained = (from: number, to: number): number =>
    sumChanges(changes, recording.nodes, "live", "bytes", from, to)[node];
  assert.equal(gained(0, 3), 60);
  assert.equal(gained(1, 2), 50);
  assert.equal(gained(2, 3), -90);
  const rowOf = new Int32Array(recording.frameCount).fill(-1);
  rowOf[recording.nodeFrames[node]] = 0;
  assert.deepEqual([...seriesOf(recording, changes, rowOf, 1)[0]], [100, 150, 60]);
});
