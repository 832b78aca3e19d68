// Puts boxes on a canvas: only rows that can be seen, and text only where it can be read.

import { boxColor, changeColor, type Theme } from "./colors.ts";
import { amount, change, type Unit } from "./format.ts";
import type { Labels } from "./labels.ts";
import { type Layout, REST, type Window } from "./layout.ts";
import type { Tree } from "./tree.ts";

export const ROW = 20;

/** Text smaller than this says nothing. */
const NARROWEST_TEXT = 34;
const PADDING = 5;

export interface Picture {
  tree: Tree;
  layout: Layout;
  window: Window;
  /** First pixel row that is seen, and how many are. */
  top: number;
  width: number;
  height: number;
  ratio: number;
  theme: Theme;
  labels: Labels;
  colors: [number, number][];
  unit: Unit;
  isDifference: boolean;
  isRelative: boolean;
  /** Whether a node is found by the search; `null` without a search. */
  isHit: ((node: number) => boolean) | null;
  hovered: number;
  focused: number;
  /** Boxes of this key are marked: the selected call site. */
  selected: number;
}

const widths = new Map<string, number>();

/** Measuring is slow, and most texts come again. */
function widthOf(context: CanvasRenderingContext2D, text: string): number {
  let width = widths.get(text);
  if (width === undefined) {
    if (widths.size > 20_000) widths.clear();
    width = context.measureText(text).width;
    widths.set(text, width);
  }
  return width;
}

/** `text`, or as much of its beginning as fits. */
function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  // Names may be thousands of characters long; no screen shows as many.
  const kept = text.length > 400 ? text.slice(0, 400) : text;
  const whole = widthOf(context, kept);
  if (whole <= room) return kept;
  const fits = Math.floor((kept.length * (room - 8)) / whole);
  return fits < 3 ? "" : `${kept.slice(0, fits)}…`;
}

/** Where a box is on the canvas. */
export function place(of: Picture, box: number): [number, number] {
  const scale = of.width / (of.window.right - of.window.left);
  const left = Math.max(0, (of.layout.lefts[box] - of.window.left) * scale);
  const right = Math.min(of.width, (of.layout.lefts[box] + of.layout.widths[box] - of.window.left) * scale);
  return [left, right - left];
}

export function draw(context: CanvasRenderingContext2D, of: Picture): void {
  const { layout, theme, tree } = of;
  context.setTransform(of.ratio, 0, 0, of.ratio, 0, 0);
  context.clearRect(0, 0, of.width, of.height);
  context.font = `12px ${FONT}`;
  context.textBaseline = "middle";
  const firstRow = Math.max(0, Math.floor(of.top / ROW));
  const lastRow = Math.min(layout.rows.length - 2, Math.floor((of.top + of.height) / ROW));
  const whole = Math.max(1, tree.value(0));
  const texts: number[] = [];
  for (let row = firstRow; row <= lastRow; row += 1) {
    const y = row * ROW - of.top;
    for (let box = layout.rows[row]; box < layout.rows[row + 1]; box += 1) {
      const [x, width] = place(of, box);
      if (width <= 0) continue;
      const node = layout.nodes[box];
      const shown = Math.max(width - (width > 3 ? 1 : 0), 0.5);
      context.fillStyle = colorOf(of, node, whole);
      context.globalAlpha = of.isHit && node > 0 && !of.isHit(node) ? 0.32 : 1;
      context.fillRect(x, y, shown, ROW - 1);
      if (node !== REST && width >= NARROWEST_TEXT) texts.push(box, row);
    }
  }
  context.globalAlpha = 1;
  for (let at = 0; at < texts.length; at += 2) drawText(context, of, texts[at], texts[at + 1]);
  for (let row = firstRow; row <= lastRow; row += 1) {
    for (let box = layout.rows[row]; box < layout.rows[row + 1]; box += 1) {
      const node = layout.nodes[box];
      if (node === REST) continue;
      const isMarked =
        node === of.hovered || node === of.focused || (of.selected >= 0 && tree.key(node) === of.selected);
      const isHit = of.isHit !== null && node > 0 && of.isHit(node);
      if (!isMarked && !isHit) continue;
      const [x, width] = place(of, box);
      context.lineWidth = node === of.focused || node === of.hovered ? 2 : 1.5;
      context.strokeStyle = isMarked ? theme.accent : theme.hit;
      const inset = context.lineWidth / 2;
      context.strokeRect(
        x + inset,
        row * ROW - of.top + inset,
        Math.max(width - 1 - 2 * inset, 0.5),
        ROW - 1 - 2 * inset,
      );
    }
  }
}

export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';

function colorOf(of: Picture, node: number, whole: number): string {
  const { theme, tree } = of;
  if (node === REST) return theme.line;
  if (node === 0) return theme.isDark ? "hsl(220 8% 24%)" : "hsl(220 14% 90%)";
  if (of.isDifference) {
    const [now, before] = [tree.now(node), tree.before(node)];
    const strength = of.isRelative ? (now - before) / Math.max(now, before, 1) : (now - before) / whole;
    return changeColor(strength, theme.isDark);
  }
  const key = tree.key(node);
  const isModule = of.labels.isModule(key);
  return boxColor(of.colors[of.labels.moduleOf(key)] ?? [0, 0], isModule ? 0 : key * 7, theme.isDark);
}

function drawText(context: CanvasRenderingContext2D, of: Picture, box: number, row: number): void {
  const { tree, theme } = of;
  const node = of.layout.nodes[box];
  const [x, width] = place(of, box);
  const middle = row * ROW - of.top + (ROW - 1) / 2 + 0.5;
  const isFaint = of.isHit !== null && node > 0 && !of.isHit(node);
  const room = width - 2 * PADDING;
  context.fillStyle = isFaint ? theme.faint : theme.text;
  const key = tree.key(node);
  const label = of.labels.box(key);
  const figure = of.isDifference
    ? change(tree.now(node) - tree.before(node), of.unit)
    : amount(tree.now(node), of.unit);
  const figureWidth = widthOf(context, figure);
  const isFigureShown = room > figureWidth + 70;
  const text = fitted(context, label, isFigureShown ? room - figureWidth - 10 : room);
  if (text === "") return;
  context.textAlign = "left";
  const split = text.indexOf("  ");
  if (split > 0 && !isFaint) {
    context.fillText(text.slice(0, split), x + PADDING, middle);
    context.globalAlpha = 0.7;
    context.fillText(text.slice(split + 2), x + PADDING + widthOf(context, `${text.slice(0, split)}  `), middle);
    context.globalAlpha = 1;
  } else {
    context.fillText(text, x + PADDING, middle);
  }
  if (isFigureShown) {
    context.textAlign = "right";
    context.fillText(figure, x + width - PADDING, middle);
  }
}
