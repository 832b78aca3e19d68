import assert from "node:assert/strict";
import { test } from "node:test";
import { change, count, margin, relative, size, time } from "../../src/format.ts";

test("sizes are those of the command line", () => {
  const sizes: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [10_137, "9.9 KiB"],
    [10_338_959, "9.9 MiB"],
    [10 << 10, "10 KiB"],
    [(1023 << 10) + 511, "1023 KiB"],
    [(1023 << 10) + 512, "1.0 MiB"],
    [2 ** 40, "1.0 TiB"],
  ];
  for (const [bytes, text] of sizes) assert.equal(size(bytes), text);
});

test("counts, changes and times are told as the command line tells them", () => {
  assert.equal(count(1234567), "1,234,567");
  assert.equal(change(-2048, "bytes"), "−2.0 KiB");
  assert.equal(change(12, "blocks"), "+12");
  assert.equal(relative(150, 100), "+50 %");
  assert.equal(relative(5, 0), "new");
  assert.equal(time(59_960_000), "59.9 s");
  assert.equal(time(3_725_000_000), "1 h 02 min");
});

test("the margin of a sampled figure is that of the analysis", () => {
  assert.equal(margin(0, 524288), 3 * 524288);
  assert.equal(margin(1 << 20, null), null);
});
