// The graph: a canvas that shows a part of a tree, and what a pointer or keys do on it.

import { themeOf } from "./colors.ts";
import { draw, type Picture, place, ROW } from "./draw.ts";
import type { Unit } from "./format.ts";
import type { Labels } from "./labels.ts";
import { boxAt, type Layout, layout, REST, type Window } from "./layout.ts";
import { extent, type Tree } from "./tree.ts";

export interface Shown {
  tree: Tree;
  unit: Unit;
  colors: [number, number][];
  isDifference: boolean;
  isRelative: boolean;
  isHit: ((node: number) => boolean) | null;
  selected: number;
}

export interface FlameEvents {
  zoom: (node: number) => void;
  hover: (node: number, x: number, y: number) => void;
  pin: (node: number, x: number, y: number) => void;
  focus: (node: number) => void;
}

const ZOOM_MS = 180;
const MOST_HEIGHT = 620;
const LEAST_HEIGHT = 100;
/** No closer than this part of everything. */
const CLOSEST = 1e-9;

const isStill = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Flame {
  private shown: Shown | null = null;
  private window: Window = { left: 0, right: 1 };
  private target: Window = { left: 0, right: 1 };
  private zoomed = 0;
  private made: Layout | null = null;
  private hovered = -1;
  private focused = -1;
  private frame = 0;
  private moving: { from: Window; start: number } | null = null;
  private pointer: { x: number; left: number; right: number; hasMoved: boolean } | null = null;
  private readonly context: CanvasRenderingContext2D;
  /** How long the last drawing took, and the longest of a movement: what benchmarks read. */
  readonly timing = { last: 0, longest: 0, frames: 0, all: 0 };

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly scroller: HTMLElement,
    private readonly spacer: HTMLElement,
    private readonly labels: Labels,
    private readonly events: FlameEvents,
  ) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser cannot draw on a canvas");
    this.context = context;
    scroller.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(scroller);
    canvas.addEventListener("pointermove", (event) => this.pointerMove(event));
    canvas.addEventListener("pointerdown", (event) => this.pointerDown(event));
    canvas.addEventListener("pointerup", (event) => this.pointerUp(event));
    canvas.addEventListener("pointerleave", () => this.hover(-1, 0, 0));
    canvas.addEventListener("contextmenu", (event) => this.menu(event));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("blur", () => this.focusOn(-1));
  }

  get tree(): Tree | null {
    return this.shown?.tree ?? null;
  }

  get focusedNode(): number {
    return this.focused >= 0 ? this.focused : this.zoomed;
  }

  /** Shows a tree from `zoomed` on. Only a zoom within the same tree moves. */
  show(shown: Shown, zoomed: number): void {
    const isSameTree = this.shown?.tree === shown.tree;
    this.shown = shown;
    const hasMoved = !isSameTree || this.zoomed !== zoomed;
    this.zoomed = zoomed;
    if (!isSameTree) {
      this.hovered = -1;
      this.focused = -1;
    }
    const [left, width] = extent(shown.tree, zoomed);
    const target = { left, right: left + Math.max(width, CLOSEST) };
    if (hasMoved) {
      this.target = target;
      if (isSameTree && !isStill()) this.moving = { from: this.window, start: performance.now() };
      else this.window = target;
      this.timing.longest = 0;
      this.timing.frames = 0;
      this.scrollTo(zoomed);
    }
    this.made = null;
    this.draw();
  }

  /** Once what is to be drawn is drawn. */
  async painted(): Promise<void> {
    while (this.frame !== 0) await new Promise((resolve) => requestAnimationFrame(resolve));
  }

  private scrollTo(node: number): void {
    const { tree } = this.shown as Shown;
    let depth = 0;
    for (let at = node; at > 0; at = tree.parent(at)) depth += 1;
    const row = depth * ROW;
    const { scrollTop, clientHeight } = this.scroller;
    if (row < scrollTop || row > scrollTop + clientHeight - 4 * ROW) {
      // There must be something to scroll to.
      this.spacer.style.height = `${Math.max(this.spacer.offsetHeight, row + clientHeight)}px`;
      this.scroller.scrollTop = Math.max(0, row - 2 * ROW);
    }
  }

  draw(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame((now) => this.drawNow(now));
  }

  private drawNow(now: number): void {
    this.frame = 0;
    const { shown } = this;
    const width = this.scroller.clientWidth;
    if (!shown || width === 0) return;
    const begun = performance.now();
    if (this.moving) {
      const part = Math.min(1, (now - this.moving.start) / ZOOM_MS);
      const eased = 1 - (1 - part) ** 3;
      const between = (from: number, to: number): number => from + (to - from) * eased;
      const { from } = this.moving;
      this.window = { left: between(from.left, this.target.left), right: between(from.right, this.target.right) };
      if (part >= 1) {
        this.window = this.target;
        this.moving = null;
      }
      this.made = null;
    }
    if (!this.made || this.madeFor !== width) {
      this.made = layout(shown.tree, this.window, width);
      this.madeFor = width;
      const rows = this.made.rows.length - 1;
      const height = Math.min(MOST_HEIGHT, Math.max(LEAST_HEIGHT, rows * ROW));
      if (!this.moving) {
        this.spacer.style.height = `${rows * ROW}px`;
        this.scroller.style.height = `${height}px`;
      }
    }
    const height = this.scroller.clientHeight;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    draw(this.context, this.picture(shown, this.made, width, height, ratio));
    this.timing.last = performance.now() - begun;
    this.timing.longest = Math.max(this.timing.longest, this.timing.last);
    this.timing.frames += 1;
    this.timing.all += 1;
    if (this.moving) this.draw();
  }

  private madeFor = 0;

  private picture(shown: Shown, made: Layout, width: number, height: number, ratio: number): Picture {
    return {
      ...shown,
      layout: made,
      window: this.window,
      top: this.scroller.scrollTop,
      width,
      height,
      ratio,
      theme: themeOf(this.canvas),
      labels: this.labels,
      hovered: this.hovered,
      focused: this.focused,
    };
  }

  /** The node at a place of the canvas; −1 where there is none. */
  nodeAt(x: number, y: number): number {
    if (!this.made) return -1;
    const { left, right } = this.window;
    const place = left + (x / this.scroller.clientWidth) * (right - left);
    const box = boxAt(this.made, Math.floor((y + this.scroller.scrollTop) / ROW), place);
    return box < 0 || this.made.nodes[box] === REST ? -1 : this.made.nodes[box];
  }

  /** Where a node is drawn in the canvas: for tests, and to put a tooltip there. */
  boxOf(node: number): { x: number; y: number; width: number } | null {
    const { made, shown } = this;
    if (!made || !shown) return null;
    for (let row = 0; row + 1 < made.rows.length; row += 1) {
      for (let box = made.rows[row]; box < made.rows[row + 1]; box += 1) {
        if (made.nodes[box] !== node) continue;
        const [x, width] = place(
          this.picture(shown, made, this.scroller.clientWidth, this.scroller.clientHeight, 1),
          box,
        );
        return { x, y: row * ROW - this.scroller.scrollTop, width };
      }
    }
    return null;
  }

  private hover(node: number, x: number, y: number): void {
    if (node !== this.hovered) {
      this.hovered = node;
      this.draw();
    }
    this.events.hover(node, x, y);
  }

  private pointerMove(event: PointerEvent): void {
    const { pointer } = this;
    if (pointer && event.buttons === 1) {
      const moved = event.offsetX - pointer.x;
      if (Math.abs(moved) > 3) pointer.hasMoved = true;
      if (pointer.hasMoved && pointer.right - pointer.left < 1) {
        const width = pointer.right - pointer.left;
        const by = (moved / this.scroller.clientWidth) * width;
        const left = Math.min(Math.max(0, pointer.left - by), 1 - width);
        this.look({ left, right: left + width });
        return;
      }
    }
    const node = this.nodeAt(event.offsetX, event.offsetY);
    this.canvas.style.cursor = node >= 0 ? "pointer" : "default";
    this.hover(node, event.clientX, event.clientY);
  }

  private pointerDown(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.pointer = { x: event.offsetX, left: this.window.left, right: this.window.right, hasMoved: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  private pointerUp(event: PointerEvent): void {
    const { pointer } = this;
    this.pointer = null;
    if (!pointer || event.button !== 0) return;
    if (pointer.hasMoved && pointer.right - pointer.left < 1) return;
    const node = this.nodeAt(event.offsetX, event.offsetY);
    if (node < 0) return;
    if (event.pointerType === "touch" || event.altKey) this.events.pin(node, event.clientX, event.clientY);
    else this.events.zoom(node);
  }

  private menu(event: MouseEvent): void {
    const node = this.nodeAt(event.offsetX, event.offsetY);
    if (node < 0) return;
    event.preventDefault();
    this.events.pin(node, event.clientX, event.clientY);
  }

  private wheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) {
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && this.window.right - this.window.left < 1) {
        event.preventDefault();
        const width = this.window.right - this.window.left;
        const by = (event.deltaX / this.scroller.clientWidth) * width;
        const left = Math.min(Math.max(0, this.window.left + by), 1 - width);
        this.look({ left, right: left + width });
      }
      return;
    }
    event.preventDefault();
    const { left, right } = this.window;
    const at = left + (event.offsetX / this.scroller.clientWidth) * (right - left);
    const scale = Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.01);
    const width = Math.min(1, Math.max(CLOSEST, (right - left) * scale));
    const from = Math.min(Math.max(0, at - ((at - left) / (right - left)) * width), 1 - width);
    this.look({ left: from, right: from + width });
  }

  /** Looks at a part of the tree that is no node's. */
  look(window: Window): void {
    this.window = window;
    this.target = window;
    this.moving = null;
    this.made = null;
    this.draw();
  }

  private focusOn(node: number): void {
    if (node === this.focused) return;
    this.focused = node;
    if (node >= 0) this.events.focus(node);
    this.draw();
  }

  /** Goes to a neighbour of the focused box, as keys ask for. Gives whether there is one. */
  step(way: "up" | "down" | "left" | "right"): boolean {
    const { tree } = this;
    if (!tree) return false;
    const now = this.focusedNode;
    if (this.focused < 0) {
      this.focusOn(now);
      return true;
    }
    let next = -1;
    if (way === "up") next = now > 0 ? tree.parent(now) : -1;
    else if (way === "down") {
      const { list, start, end } = tree.children(now);
      if (start < end) next = list[start];
    } else if (now > 0) {
      const { list, start, end } = tree.children(tree.parent(now));
      const by = way === "left" ? -1 : 1;
      for (let at = start; at < end; at += 1)
        if (list[at] === now && at + by >= start && at + by < end) next = list[at + by];
    }
    if (next < 0) return false;
    this.focusOn(next);
    this.scrollTo(next);
    return true;
  }
}
