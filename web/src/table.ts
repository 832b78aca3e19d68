// Tables: of call sites, and of the graph for those who do not see it.

import { h, svg } from "./dom.ts";
import { amount, change, margin, relative, share, type Unit } from "./format.ts";
import type { Labels } from "./labels.ts";
import type { Row } from "./rows.ts";
import type { Tree } from "./tree.ts";

/** Rows that are added at a time. */
const PAGE = 60;

export interface SiteTable {
  rows: Row[];
  total: number;
  unit: Unit;
  metric: string;
  isDifference: boolean;
  hasGrowth: boolean;
  sort: string;
  selected: number;
  meanBytes: number | null;
  /** Draws what the rows had over time. */
  series: ((frames: number[]) => Float64Array[]) | null;
  range: [number, number] | null;
}

export interface TableEvents {
  sort: (sort: string) => void;
  select: (frame: number) => void;
  zoom: (node: number) => void;
}

interface Column {
  key: string;
  name: string;
  title?: string;
  isNumber: boolean;
}

export class Tables {
  private shownRows = PAGE;
  private last: SiteTable | null = null;

  constructor(
    private readonly root: HTMLElement,
    private readonly labels: Labels,
    private readonly events: TableEvents,
  ) {}

  private columns(of: SiteTable): Column[] {
    const columns: Column[] = [{ key: "place", name: "Call site", isNumber: false }];
    if (of.isDifference) {
      columns.push(
        { key: "old", name: "Before", isNumber: true },
        { key: "now", name: "After", isNumber: true },
        { key: "change", name: "Change", isNumber: true },
        { key: "", name: "Relative", isNumber: true },
      );
    } else {
      columns.push({ key: "size", name: of.metric, isNumber: true }, { key: "", name: "Share", isNumber: true });
    }
    if (of.series) columns.push({ key: "", name: "Live over time", isNumber: false });
    if (of.hasGrowth) {
      columns.push({
        key: "growth",
        name: "Growth / min",
        title: "Slope of live memory, ± twice its standard error",
        isNumber: true,
      });
    }
    return columns;
  }

  showSites(of: SiteTable): void {
    const isOther = this.last?.rows.length !== of.rows.length || this.last?.sort !== of.sort;
    if (isOther) this.shownRows = PAGE;
    this.last = of;
    const columns = this.columns(of);
    const head = h("tr", {}, ...columns.map((column) => this.heading(column, of.sort)));
    const body = h("tbody");
    const rows = of.rows.slice(0, this.shownRows);
    const series = of.series?.(rows.map((row) => row.frame)) ?? null;
    rows.forEach((row, at) => {
      body.append(this.siteRow(of, row, series ? series[at] : null));
    });
    const left = of.rows.length - rows.length;
    const more =
      left > 0 &&
      h(
        "button",
        { type: "button", class: "more", click: () => this.more() },
        `Show ${Math.min(left, PAGE * 4)} more of ${left}`,
      );
    const caption = h("caption", { class: "offscreen" }, "Call sites");
    const table = h("table", { class: "sites" }, caption, h("thead", {}, head), body);
    const empty = of.rows.length === 0 && h("p", { class: "empty" }, "No call site has such memory here.");
    const scrolled = this.root.scrollTop;
    this.root.replaceChildren(
      table,
      ...[empty, more].filter((child): child is HTMLParagraphElement | HTMLButtonElement => child !== false),
    );
    this.root.scrollTop = scrolled;
  }

  private more(): void {
    this.shownRows += PAGE * 4;
    if (this.last) {
      const { rows, sort } = this.last;
      this.showSites({ ...this.last, rows, sort });
    }
  }

  private heading(column: Column, sort: string): HTMLElement {
    const className = column.isNumber ? "number" : null;
    if (column.key === "") return h("th", { scope: "col", class: className }, column.name);
    // A change is sorted by how large it is, then by what grew, then by what shrank.
    const isSorted = sort.slice(1) === column.key || (column.key === "change" && sort === "-size");
    const isDown = sort.startsWith("-");
    let next = (isSorted ? (isDown ? "+" : "-") : column.isNumber ? "-" : "+") + column.key;
    if (column.key === "change" && (!isSorted || sort === "+change")) next = "-size";
    else if (column.key === "change" && sort === "-size") next = "-change";
    const arrow = h(
      "span",
      { class: "arrow", "aria-hidden": "true" },
      isSorted ? (sort === "-size" && column.key === "change" ? "↕" : isDown ? "↓" : "↑") : "",
    );
    const button = h(
      "button",
      { type: "button", title: column.title, click: () => this.events.sort(next) },
      column.name,
      arrow,
    );
    const isOther = sort === "-size" && column.key === "change";
    const order = isSorted ? (isOther ? "other" : isDown ? "descending" : "ascending") : "none";
    return h("th", { scope: "col", class: className, "aria-sort": order }, button);
  }

  private siteRow(of: SiteTable, row: Row, series: Float64Array | null): HTMLElement {
    const { frame } = row;
    const cells: HTMLElement[] = [this.site(frame)];
    const error = of.unit === "bytes" ? margin(row.now, of.meanBytes) : null;
    const plusMinus = (value: number | null): Node | null =>
      value === null ? null : h("span", { class: "error" }, ` ± ${amount(value, of.unit)}`);
    if (of.isDifference) {
      const by = row.now - row.before;
      const way = by > 0 ? "grew" : by < 0 ? "shrank" : "";
      cells.push(
        h("td", { class: "number" }, amount(row.before, of.unit)),
        h("td", { class: "number" }, amount(row.now, of.unit), plusMinus(error)),
        h("td", { class: `number figure ${way}` }, change(by, of.unit)),
        h("td", { class: `number ${way}` }, relative(row.now, row.before)),
      );
    } else {
      const part = of.total > 0 ? row.now / of.total : 0;
      const bar = svg(
        "svg",
        { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { width: Math.max(0.5, part * 100), height: 4 }),
      );
      cells.push(
        h("td", { class: "number figure" }, amount(row.now, of.unit), plusMinus(error)),
        h("td", { class: "number share" }, share(row.now, of.total), bar as unknown as Node),
      );
    }
    if (of.series)
      cells.push(h("td", { class: "spark" }, series ? (sparkline(series, of.range) as unknown as Node) : null));
    if (of.hasGrowth) cells.push(growthCell(row));
    const line = h(
      "tr",
      { class: frame === of.selected ? "selected" : null, click: () => this.events.select(frame) },
      ...cells,
    );
    line.dataset.frame = String(frame);
    return line;
  }

  private site(frame: number): HTMLElement {
    const place = this.labels.place(frame);
    const name = this.labels.name(frame);
    const button = h(
      "button",
      { type: "button", class: "site", title: `${name} ${place}`.slice(0, 500) },
      place === "" ? null : h("span", { class: "place" }, place.slice(-160)),
      " ",
      h("span", { class: "function" }, name.slice(0, 160)),
    );
    return h("th", { scope: "row" }, button);
  }

  /** The graph in rows: the way to the zoomed box, and what is directly below it. */
  showGraph(tree: Tree, zoomed: number, unit: Unit, isDifference: boolean): void {
    const whole = tree.now(0);
    const columns = [
      "Call path",
      isDifference ? "Change" : "With all below",
      isDifference ? "After" : "Itself",
      "Share",
    ];
    const head = h(
      "tr",
      {},
      ...columns.map((name, at) => h("th", { scope: "col", class: at > 0 ? "number" : null }, name)),
    );
    const way: number[] = [];
    for (let at = zoomed; at > 0; at = tree.parent(at)) way.push(at);
    way.push(0);
    way.reverse();
    const body = h("tbody");
    const rowOf = (node: number, depth: number, role: string): HTMLElement => {
      const key = tree.key(node);
      const button = h(
        "button",
        { type: "button", class: "site", click: () => this.events.zoom(node) },
        h("span", { class: "offscreen" }, role),
        h("span", { class: "function" }, this.labels.name(key).slice(0, 160)),
        " ",
        h("span", { class: "place" }, this.labels.place(key).slice(-160)),
      );
      const cell = h("th", { scope: "row" }, button);
      button.style.paddingInlineStart = `${Math.min(depth, 24) * 12 + 6}px`;
      const figure = isDifference ? change(tree.now(node) - tree.before(node), unit) : amount(tree.now(node), unit);
      const other = amount(isDifference ? tree.now(node) : tree.self(node), unit);
      return h(
        "tr",
        { class: node === zoomed ? "selected" : null },
        cell,
        h("td", { class: "number figure" }, figure),
        h("td", { class: "number" }, other),
        h("td", { class: "number" }, share(tree.now(node), whole)),
      );
    };
    // Of a very deep path the ends say most.
    const shownWay = way.length > 60 ? [...way.slice(0, 20), ...way.slice(-40)] : way;
    shownWay.forEach((node, depth) => {
      body.append(rowOf(node, depth, node === zoomed ? "Zoomed: " : "Caller: "));
    });
    const { list, start, end } = tree.children(zoomed);
    for (let at = start; at < Math.min(end, start + 200); at += 1) body.append(rowOf(list[at], shownWay.length, ""));
    const left = end - start - 200;
    const note = left > 0 ? h("p", { class: "empty" }, `${left} smaller ones are not listed.`) : "";
    const caption = h(
      "caption",
      { class: "offscreen" },
      "The graph as a table: callers of the zoomed box, and what is below it",
    );
    this.root.replaceChildren(h("table", { class: "sites" }, caption, h("thead", {}, head), body), note);
  }
}

function growthCell(row: Row): HTMLElement {
  const isSure = Math.abs(row.slope) > row.error && row.slope !== 0;
  const way = !isSure ? "unsure" : row.slope > 0 ? "grew" : "shrank";
  if (row.slope === 0 && row.error === 0) return h("td", { class: "number unsure" }, "0");
  return h(
    "td",
    { class: `number ${way}` },
    change(row.slope, "bytes"),
    h("span", { class: "error" }, ` ± ${amount(row.error, "bytes")}`),
  );
}

const SPARK_WIDTH = 96;
const SPARK_HEIGHT = 18;

function sparkline(series: Float64Array, range: [number, number] | null): SVGElement {
  let most = 1;
  for (const value of series) most = Math.max(most, value);
  const x = (at: number): number => (at / Math.max(series.length, 1)) * SPARK_WIDTH;
  const y = (value: number): number => SPARK_HEIGHT - 1 - (Math.max(0, value) / most) * (SPARK_HEIGHT - 3);
  let line = `M0 ${y(0).toFixed(1)}`;
  series.forEach((value, at) => {
    line += `L${x(at + 1).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  const area = svg("path", { d: `${line}L${SPARK_WIDTH} ${SPARK_HEIGHT}L0 ${SPARK_HEIGHT}Z`, class: "spark-area" });
  const stroke = svg("path", { d: line, class: "spark-line" });
  const parts = [area, stroke];
  if (range) {
    parts.unshift(
      svg("rect", {
        x: x(range[0]),
        width: Math.max(1, x(range[1]) - x(range[0])),
        height: SPARK_HEIGHT,
        class: "spark-range",
      }),
    );
  }
  return svg(
    "svg",
    { viewBox: `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`, width: SPARK_WIDTH, height: SPARK_HEIGHT, "aria-hidden": "true" },
    ...parts,
  );
}
