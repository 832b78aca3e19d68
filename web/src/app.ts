// The page: puts its parts together, and shows each state of the store.

import { moduleColors, themeOf } from "./colors.ts";
import { showControls } from "./controls.ts";
import { byId, h } from "./dom.ts";
import { seriesOf } from "./figures.ts";
import { Flame } from "./flame.ts";
import { showHead, showWords } from "./head.ts";
import { listenForKeys } from "./keys.ts";
import { Labels } from "./labels.ts";
import { showLegend } from "./legend.ts";
import type { Changes, Recording, Ticks } from "./recording.ts";
import { filterRows, linesOf, rowsOf, sortRows } from "./rows.ts";
import { SourcePane } from "./source.ts";
import { fromHash, INITIAL, type State, Store, toHash } from "./state.ts";
import { Tables } from "./table.ts";
import { Timeline } from "./timeline.ts";
import { Tip, type TipView } from "./tip.ts";
import { type View, Views, zoomTo } from "./view.ts";

/** What each metric is called. */
export const METRICS: Record<State["metric"], string> = {
  live: "Live",
  peak: "At the peak",
  allocated: "Allocated",
  temporary: "Temporary",
};

export class App {
  readonly store: Store;
  readonly labels: Labels;
  readonly flame: Flame;
  readonly tip: Tip;
  readonly views: Views;
  view: View | null = null;
  changes: Changes | null = null;
  timeline: Timeline | null = null;
  private readonly tables: Tables;
  private source: SourcePane | null = null;
  private colors: [number, number][] = [];
  private rendering = 0;
  /** The first row of the table. */
  private topFrame = -1;
  /** When the graph was first drawn, in milliseconds since the page began to load. */
  firstPaint = 0;

  constructor(readonly recording: Recording) {
    this.labels = new Labels(recording);
    const initial = { ...INITIAL };
    const { about } = recording;
    if (about.old) {
      // Threads of two runs are not the same ones.
      initial.threads = "together";
    }
    this.store = new Store(fromHash(location.hash, initial));
    this.views = new Views(recording);
    this.tip = new Tip(byId("tip"), this.labels, {
      zoom: (node) => this.zoom(node),
      select: (key) => this.select(key),
      search: (search) => this.store.set({ search }),
    });
    this.flame = new Flame(
      byId<HTMLCanvasElement>("flame"),
      byId("flame-scroller"),
      byId("flame-spacer"),
      this.labels,
      {
        zoom: (node) => this.zoomAndSelect(node),
        hover: (node, x, y) => this.hover(node, x, y),
        pin: (node, x, y) => this.pin(node, x, y),
        focus: (node) => this.announce(node),
      },
    );
    this.tables = new Tables(byId("table"), this.labels, {
      sort: (sort) => this.store.set({ sort }),
      select: (frame) => this.select(frame),
      zoom: (node) => this.zoom(node),
    });
    this.store.listen((state, before) => {
      this.remember(state);
      void this.render(before);
    });
    showHead(this);
    listenForKeys(this);
  }

  get isDifferenceOfFiles(): boolean {
    return this.recording.about.old !== null;
  }

  /** Reads and shows everything: the graph first. */
  async start(): Promise<void> {
    const wantsRange = this.store.state.range !== null || this.recording.about.span_us !== null;
    if (wantsRange) await this.readChanges();
    await this.render(null, true);
    await this.flame.painted();
    this.firstPaint = performance.now();
    document.dispatchEvent(new Event("heapsight:painted"));
    const ofTicks = [this.recording.ticks(""), this.isDifferenceOfFiles ? this.recording.ticks("old-") : null] as const;
    const [ticks, old] = await Promise.all(ofTicks);
    if (!wantsRange) await this.readChanges();
    this.makeTimeline(ticks, old);
    const files = await this.recording.source();
    this.source = new SourcePane(byId("source"), this.recording, this.labels, files);
    await this.render(null);
    document.documentElement.dataset.ready = "yes";
  }

  private async readChanges(): Promise<void> {
    if (this.changes) return;
    this.changes = await this.recording.changes();
    this.views.know(this.changes);
    const spans = this.changes?.ends.length ?? 0;
    const { range } = this.store.state;
    if (range && (range[1] > spans || range[0] >= range[1])) this.store.set({ range: null });
    this.beginWithSpan();
  }

  /** The span that the page was made for, unless the address says otherwise. */
  private beginWithSpan(): void {
    const { span_us: span } = this.recording.about;
    if (!span || !this.changes || location.hash.length > 1) return;
    const edges = [0, ...this.changes.ends];
    // The last boundary that is not after the moment, to the millisecond.
    const boundary = (us: number): number => {
      let found = 0;
      for (let at = 0; at < edges.length; at += 1)
        if (Math.floor(edges[at] / 1000) <= Math.floor(us / 1000)) found = at;
      return found;
    };
    const [from, to] = [boundary(span[0]), boundary(span[1])];
    if (from < to) this.store.set({ range: [from, to], compare: true, sort: "-size" });
  }

  private makeTimeline(ticks: Ticks, old: Ticks | null): void {
    const changes = this.changes;
    this.timeline = new Timeline(byId("timeline"), this.recording, ticks, old, changes, {
      choose: (range, isOver) => {
        const { metric } = this.store.state;
        this.store.set({ range, metric: range && metric === "peak" ? "live" : metric }, isOver ? "" : "range");
      },
    });
    this.timeline.render();
  }

  /** Colours changed: everything that was painted is painted again. */
  repaint(): void {
    this.timeline?.render();
    void this.render(null);
  }

  /** Shows the state: at first the graph alone, for people wait for it. */
  private async render(before: State | null, isFirst = false): Promise<void> {
    this.rendering += 1;
    const own = this.rendering;
    const { state } = this.store;
    const view = await this.views.of(state);
    // Something newer is on its way.
    if (own !== this.rendering) return;
    this.view = view;
    if (this.colors.length === 0) this.colors = moduleColors(this.recording, view.modules());
    const { unit } = state;
    this.flame.show(
      {
        tree: view.tree,
        unit,
        colors: this.colors,
        isDifference: view.isDifference,
        isRelative: state.colors === "relative",
        isHit: typeof view.found === "object" && view.found ? view.found.isHit : null,
        selected: state.selected,
      },
      view.zoomed,
    );
    if (isFirst) return;
    if (!this.tip.isPinned) this.tip.hide();
    showControls(this, view);
    const theme = themeOf(document.documentElement);
    showLegend(
      byId("legend"),
      this.recording,
      { state, values: view.modules(), total: view.callees.now(0), colors: this.colors, unit, isDark: theme.isDark },
      (modules) => this.store.set({ modules }),
    );
    this.timeline?.show(state.range);
    showWords(this, view);
    this.showTable(view);
    this.showSource(view, before);
  }

  private showTable(view: View): void {
    const { state } = view;
    if (state.table === "graph") {
      this.tables.showGraph(view.tree, view.zoomed, state.unit, view.isDifference);
      return;
    }
    const { recording, changes } = this;
    const zoomed = state.inverted ? 0 : view.zoomed;
    const growth = view.growth();
    const all = rowsOf(recording, view.shape, view.weights, zoomed, growth);
    const rows = sortRows(recording, filterRows(recording, all, state.filter), state.sort, view.isDifference);
    this.topFrame = rows.length > 0 ? rows[0].frame : -1;
    this.tables.showSites({
      rows,
      total: view.callees.now(0),
      unit: state.unit,
      metric: METRICS[state.metric],
      isDifference: view.isDifference,
      hasGrowth: growth !== null,
      sort: state.sort,
      selected: state.selected,
      meanBytes: recording.about.new.mean_bytes,
      series:
        changes && changes.ends.length > 2
          ? (frames) => {
              const rowOf = new Int32Array(recording.frameCount).fill(-1);
              frames.forEach((frame, row) => {
                rowOf[frame] = row;
              });
              return seriesOf(recording, changes, rowOf, frames.length);
            }
          : null,
      range: state.range,
    });
  }

  private showSource(view: View, before: State | null): void {
    if (!this.source) return;
    const { unit } = view.state;
    // Until somebody chooses, what is worth looking at first.
    const selected = view.state.selected >= 0 ? view.state.selected : this.topFrame;
    if (selected < 0 || selected >= this.recording.frameCount) {
      this.source.showNothing();
      return;
    }
    const lines = linesOf(this.recording, view.weights, this.recording.fileOf(selected));
    this.source.show({ frame: selected, lines, unit, isDifference: view.isDifference });
    if (before && before.selected !== selected) byId("source-panel").classList.add("chosen");
  }

  zoom(node: number): void {
    if (this.view) this.store.set({ zoom: zoomTo(this.view, node) });
  }

  private zoomAndSelect(node: number): void {
    if (!this.view) return;
    this.tip.hide();
    const key = this.view.tree.key(node);
    const isFrame = key >= 0 && !this.labels.isModule(key);
    const selected = isFrame ? key : this.store.state.selected;
    this.store.set({ zoom: zoomTo(this.view, node), selected });
  }

  /** Goes one box out. */
  out(): void {
    if (this.view && this.view.zoomed > 0) this.zoom(this.view.tree.parent(this.view.zoomed));
  }

  select(key: number): void {
    if (key >= 0 && !this.labels.isModule(key)) this.store.set({ selected: key });
  }

  tipView(node: number): TipView | null {
    const { view } = this;
    if (!view) return null;
    return {
      tree: view.tree,
      node,
      unit: view.state.unit,
      isDifference: view.isDifference,
      isInverted: view.state.inverted,
      meanBytes: this.recording.about.new.mean_bytes,
    };
  }

  private hover(node: number, x: number, y: number): void {
    const of = node >= 0 ? this.tipView(node) : null;
    if (of) this.tip.show(of, x, y, false);
    else if (!this.tip.isPinned) this.tip.hide();
  }

  pin(node: number, x: number, y: number): void {
    const of = this.tipView(node);
    if (of) this.tip.show(of, x, y, true);
  }

  /** Tells a box to those who do not see it. */
  private announce(node: number): void {
    const of = this.tipView(node);
    if (!of) return;
    const key = of.tree.key(node);
    const facts = this.tip.describe(of).map(([name, value]) => `${name} ${value}`);
    byId("spoken").textContent = [this.labels.name(key), this.labels.place(key), ...facts]
      .filter(Boolean)
      .join(", ")
      .slice(0, 600);
  }

  private remember(state: State): void {
    const hash = toHash(state);
    try {
      history.replaceState(null, "", hash === "" ? location.pathname + location.search : `#${hash}`);
    } catch {
      location.hash = hash;
    }
  }
}

/** Says in the page why there is nothing to see. */
export function fail(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  byId("problem").replaceChildren(h("p", {}, `This page cannot be shown: ${text}`));
  byId("problem").hidden = false;
}
