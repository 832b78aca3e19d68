import assert from "node:assert/strict";
import { test } from "node:test";
import { integers, lines, Numbers } from "../../src/unpack.ts";

function packed(numbers: number[]): Uint8Array {
  const bytes: number[] = [];
  for (let number of numbers) {
    while (number >= 128) {
      bytes.push((number % 128) + 128);
      number = Math.floor(number / 128);
    }
    bytes.push(number);
  }
  return Uint8Array.from(bytes);
}

test("numbers come back, up to the largest that a float holds", () => {
  const numbers = [0, 1, 127, 128, 16383, 16384, 2 ** 31, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER];
  const reader = new Numbers(packed(numbers));
  for (const number of numbers) assert.equal(reader.next(), number);
});

test("a section that is not there is empty", () => {
  assert.equal(integers(null).length, 0);
  assert.deepEqual(lines(null), []);
});

test("lines keep their number, also when the last is empty", () => {
  const bytes = new TextEncoder().encode("a\n\nb\n\n");
  assert.deepEqual(lines({ count: 4, bytes }), ["a", "", "b", ""]);
});
