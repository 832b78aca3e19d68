// Where boxes are: row by row, and none that is narrower than a pixel.

import { FloatList, IntList, type Tree } from "./tree.ts";

/** A part of the whole width that is looked at: 0 to 1 is all of it. */
export interface Window {
  left: number;
  right: number;
}

export interface Layout {
  /** Boxes, row by row and from left to right. −1 stands for what is too narrow to be drawn one by one. */
  nodes: Int32Array;
  /** Left edges and widths, as parts of the whole width. */
  lefts: Float64Array;
  widths: Float64Array;
  /** Where each row begins, and one more. */
  rows: Int32Array;
  count: number;
}

export const REST = -1;

/** Lays out what can be seen in `window`, which is `pixels` wide. No recursion: stacks may be very deep. */
export function layout(tree: Tree, window: Window, pixels: number, narrowest = 1): Layout {
  const nodes = new IntList();
  const lefts = new FloatList();
  const widths = new FloatList();
  const rows = new IntList();
  const whole = tree.value(0);
  const least = (narrowest * (window.right - window.left)) / Math.max(pixels, 1);
  rows.push(0);
  nodes.push(0);
  lefts.push(0);
  widths.push(1);
  let rowStart = 0;
  while (whole > 0) {
    const rowEnd = nodes.length;
    rows.push(rowEnd);
    for (let at = rowStart; at < rowEnd; at += 1) {
      const node = nodes.data[at];
      if (node === REST) continue;
      const { list, start, end } = tree.children(node);
      let left = lefts.data[at];
      for (let child = start; child < end; child += 1) {
        const width = tree.value(list[child]) / whole;
        if (left >= window.right) break;
        if (width < least) {
          // The others are no wider.
          const rest = restOf(tree, list, child, end) / whole;
          if (rest >= least && left + rest > window.left) {
            nodes.push(REST);
            lefts.push(left);
            widths.push(rest);
          }
          break;
        }
        if (left + width > window.left) {
          nodes.push(list[child]);
          lefts.push(left);
          widths.push(width);
        }
        left += width;
      }
    }
    if (nodes.length === rowEnd) break;
    rowStart = rowEnd;
  }
  if (whole <= 0) rows.push(1);
  return {
    nodes: nodes.data,
    lefts: lefts.data,
    widths: widths.data,
    rows: rows.data.slice(0, rows.length),
    count: nodes.length,
  };
}

function restOf(tree: Tree, list: Int32Array, from: number, to: number): number {
  let rest = 0;
  for (let at = from; at < to; at += 1) rest += tree.value(list[at]);
  return rest;
}

/** The box of a row at a place; −2 where there is none. */
export function boxAt(of: Layout, row: number, place: number): number {
  if (row < 0 || row + 1 >= of.rows.length) return -2;
  let low = of.rows[row];
  let high = of.rows[row + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of.lefts[middle] + of.widths[middle] <= place) low = middle + 1;
    else high = middle;
  }
  const isThere = low < of.rows[row + 1] && of.lefts[low] <= place;
  return isThere ? low : -2;
}
