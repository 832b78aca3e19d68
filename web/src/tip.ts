// What is known of a box: beside the pointer, or pinned, with what can be done.

import { copyText, h, say } from "./dom.ts";
import { editorLink } from "./editor.ts";
import { amount, change, margin, relative, share, type Unit } from "./format.ts";
import type { Labels } from "./labels.ts";
import { pathOf, type Tree } from "./tree.ts";

export interface TipView {
  tree: Tree;
  node: number;
  unit: Unit;
  isDifference: boolean;
  isInverted: boolean;
  meanBytes: number | null;
}

export interface TipEvents {
  zoom: (node: number) => void;
  select: (key: number) => void;
  search: (text: string) => void;
}

/** Frames of a path that are copied. */
const MOST_COPIED = 2000;

export class Tip {
  isPinned = false;

  constructor(
    private readonly root: HTMLElement,
    private readonly labels: Labels,
    private readonly events: TipEvents,
  ) {}

  hide(): void {
    this.isPinned = false;
    this.root.hidden = true;
    this.root.classList.remove("pinned");
  }

  /** Lines of text: what a screen reader is told, too. */
  describe(of: TipView): [string, string][] {
    const { tree, node, unit } = of;
    const now = tree.now(node);
    const before = tree.before(node);
    const facts: [string, string][] = [];
    const error = unit === "bytes" ? margin(now, of.meanBytes) : null;
    const sure = error === null ? "" : ` ± ${amount(error, unit)}`;
    if (of.isDifference) {
      facts.push(["Change", `${change(now - before, unit)}  ${relative(now, before)}`.trim()]);
      facts.push(["Before → after", `${amount(before, unit)} → ${amount(now, unit)}${sure}`]);
    } else {
      facts.push([of.isInverted ? "Allocated this way" : "With all below", amount(now, unit) + sure]);
      facts.push(["Of everything", share(now, tree.now(0))]);
      if (node > 0 && tree.parent(node) > 0) facts.push(["Of its parent", share(now, tree.now(tree.parent(node)))]);
      if (!of.isInverted && node > 0) facts.push(["Itself", amount(tree.self(node), unit)]);
    }
    return facts;
  }

  show(of: TipView, x: number, y: number, pin: boolean): void {
    if (this.isPinned && !pin) return;
    const { tree, node } = of;
    const key = tree.key(node);
    const place = this.labels.place(key);
    const list = h("dl", {}, ...this.describe(of).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    this.root.replaceChildren(
      h("p", { class: "tip-name" }, this.labels.name(key).slice(0, 300)),
      place === "" ? "" : h("p", { class: "tip-place" }, place.slice(-200)),
      list,
      pin ? this.actions(of, key) : h("p", { class: "tip-hint" }, "Click: zoom · Right-click: pin"),
    );
    this.root.hidden = false;
    this.isPinned = pin;
    this.root.classList.toggle("pinned", pin);
    const { offsetWidth, offsetHeight } = this.root;
    const left = x + 14 + offsetWidth > innerWidth ? x - offsetWidth - 14 : x + 14;
    const top = y + 16 + offsetHeight > innerHeight ? y - offsetHeight - 12 : y + 16;
    this.root.style.left = `${Math.max(6, left)}px`;
    this.root.style.top = `${Math.max(6, top)}px`;
    if (pin) this.root.querySelector("button")?.focus({ preventScroll: true });
  }

  private actions(of: TipView, key: number): HTMLElement {
    const action = (name: string, run: () => void): HTMLElement => h("button", { type: "button", click: run }, name);
    return h(
      "div",
      { class: "tip-actions" },
      action("Zoom here", () => {
        this.hide();
        this.events.zoom(of.node);
      }),
      this.labels.isModule(key) || key < 0 ? null : action("Show source", () => this.events.select(key)),
      key < 0 ? null : action("Search for it", () => this.events.search(escaped(this.labels.name(key)))),
      action("Copy path", () => void this.copy(of)),
      editorLink(this.labels.absolute(key), this.labels.isModule(key) || key < 0 ? 0 : this.labels.lineOf(key)),
      action("Close", () => this.hide()),
    );
  }

  /** Copies the call path, the most recent frame last, as a traceback has it. */
  async copy(of: TipView): Promise<void> {
    let keys = pathOf(of.tree, of.node);
    if (of.isInverted) keys.reverse();
    const left = keys.length - MOST_COPIED;
    if (left > 0) keys = keys.slice(-MOST_COPIED);
    const lines = keys.map((key) => `${this.labels.name(key)} ${this.labels.place(key)}`.trim());
    if (left > 0) lines.unshift(`(${left} outer frames left out)`);
    const isCopied = await copyText(`${lines.join("\n")}\n`);
    say(isCopied ? "The call path was copied" : "This browser does not let the page copy");
  }
}

function escaped(text: string): string {
  return text.slice(0, 200).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
