// The source of a call site, with the figures of its lines in the margin.

import { h } from "./dom.ts";
import { editorLink } from "./editor.ts";
import { amount, change, type Unit } from "./format.ts";
import type { Labels } from "./labels.ts";
import type { Recording, SourceFile } from "./recording.ts";

interface Sum {
  now: number;
  before: number;
}

export interface SourceView {
  frame: number;
  lines: Map<number, Sum>;
  unit: Unit;
  isDifference: boolean;
}

export class SourcePane {
  constructor(
    private readonly root: HTMLElement,
    private readonly recording: Recording,
    private readonly labels: Labels,
    private readonly files: Map<number, SourceFile>,
  ) {}

  showNothing(): void {
    this.root.replaceChildren(
      h(
        "p",
        { class: "empty" },
        "Choose a call site in the table, or a box in the graph: its source is shown here, with the memory of each line.",
      ),
    );
  }

  show(of: SourceView): void {
    const { recording } = this;
    const file = recording.fileOf(of.frame);
    const line = recording.lineOf(of.frame);
    const path = recording.pathOf(file);
    const link = editorLink(this.labels.absolute(of.frame), line);
    const title = h(
      "header",
      { class: "source-head" },
      h("h3", { title: path.slice(0, 500) }, this.labels.place(of.frame).slice(-120) || this.labels.name(of.frame)),
      h("span", { class: "function" }, this.labels.name(of.frame).slice(0, 120)),
      link,
    );
    const text = this.files.get(file);
    if (!text) {
      this.root.replaceChildren(title, h("p", { class: "empty" }, this.whyNone(path)));
      return;
    }
    const weightOf = (sum: Sum): number => (of.isDifference ? Math.abs(sum.now - sum.before) : sum.now);
    const most = Math.max(1, ...Array.from(of.lines.values(), weightOf));
    const secrets = new Set((recording.about.source?.secrets ?? []).filter(([of]) => of === file).map(([, at]) => at));
    const code = h("div", { class: "code", role: "region", "aria-label": "Lines of source", tabindex: "0" });
    let last = 0;
    let current: HTMLElement | null = null;
    for (const [number, words] of text) {
      if (last > 0 && number > last + 1) code.append(h("div", { class: "gap", "aria-hidden": "true" }, "⋯"));
      last = number;
      const sum = of.lines.get(number);
      const isThere = sum !== undefined && weightOf(sum) > 0;
      const figure = !isThere ? "" : of.isDifference ? change(sum.now - sum.before, of.unit) : amount(sum.now, of.unit);
      const heat = h("span", { class: "heat", "aria-hidden": "true" });
      heat.style.width = isThere ? `${Math.max(2, (weightOf(sum) / most) * 100)}%` : "0";
      const isSecret = secrets.has(number);
      const row = h(
        "div",
        { class: `line${number === line ? " current" : ""}${isThere ? " has" : ""}` },
        h("span", { class: "margin" }, heat, h("span", { class: "sum" }, figure)),
        h("span", { class: "lineno" }, String(number)),
        h(
          "code",
          { class: isSecret ? "secret" : null },
          isSecret ? "left out: this line looks like a secret" : words || " ",
        ),
      );
      if (number === line) current = row;
      code.append(row);
    }
    this.root.replaceChildren(title, code);
    if (current) code.scrollTop = current.offsetTop - code.offsetTop - code.clientHeight / 3;
  }

  private whyNone(path: string): string {
    const { source } = this.recording.about;
    if (path === "") return "This is no place in a file.";
    if (path.startsWith("<")) return `${path.slice(0, 200)} is no file, so there is no source to show.`;
    if (!source) return "Source was left out of this page (--no-source).";
    return "The source is not in this page: the file was not found where the page was made, was changed since, or holds too little of the memory.";
  }
}
