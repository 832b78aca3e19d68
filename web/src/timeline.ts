// Memory over time, as stacked bands; a range of it is chosen by dragging, by two sliders, or by keys.

import uPlot from "uplot";
import { h, svg } from "./dom.ts";
import { size, time } from "./format.ts";
import type { Changes, Recording, Ticks } from "./recording.ts";

export interface Mark {
  us: number;
  text: string;
}

interface Band {
  name: string;
  color: string;
  values: Float64Array;
}

export interface TimelineEvents {
  /** A range of span boundaries was chosen; `null` for everything. `isOver` once the pointer is let go. */
  choose: (range: [number, number] | null, isOver: boolean) => void;
}

const HEIGHT = 132;

export class Timeline {
  private plot: uPlot | null = null;
  private readonly from: HTMLInputElement;
  private readonly to: HTMLInputElement;
  private readonly host: HTMLElement;
  private readonly legend: HTMLElement;
  private readonly edges: number[];
  private readonly bands: Band[];
  private range: [number, number] | null = null;
  private isSetting = false;

  constructor(
    root: HTMLElement,
    private readonly recording: Recording,
    private readonly ticks: Ticks,
    private readonly old: Ticks | null,
    changes: Changes | null,
    private readonly events: TimelineEvents,
  ) {
    this.edges = changes ? [0, ...changes.ends] : [];
    this.bands = this.makeBands();
    const slider = (label: string): HTMLInputElement =>
      h("input", {
        type: "range",
        min: 0,
        max: Math.round(this.edges.at(-1) ?? 0),
        step: "any",
        "aria-label": label,
        input: () => this.slide(),
        keydown: (event: KeyboardEvent) => this.step(event),
      });
    this.from = slider("Range begins");
    this.to = slider("Range ends");
    this.host = h("div", { class: "plot", role: "img", "aria-label": this.description() });
    this.legend = h("p", { class: "plot-legend" });
    root.replaceChildren(this.legend, this.host);
    if (this.edges.length > 2) root.append(h("div", { class: "sliders" }, this.from, this.to));
    new ResizeObserver(() => this.resize()).observe(this.host);
    this.say(null);
  }

  private makeBands(): Band[] {
    const { times, live, resident, tracer } = this.ticks;
    const bands: Band[] = [
      { name: this.recording.about.old ? "traced, second file" : "traced", color: "--band-traced", values: live },
    ];
    if (this.recording.about.old || !resident.some((bytes) => bytes > 0)) return bands;
    const rest = new Float64Array(times.length);
    for (let tick = 0; tick < rest.length; tick += 1) {
      rest[tick] = Math.max(0, resident[tick] - live[tick] - tracer[tick]);
    }
    if (tracer.some((bytes) => bytes > 0)) bands.push({ name: "heapsight", color: "--band-tracer", values: tracer });
    bands.push({ name: "resident, not traced", color: "--band-rest", values: rest });
    return bands;
  }

  private description(): string {
    const { about } = this.recording;
    const { live } = this.ticks;
    const last = live.length > 0 ? size(live[live.length - 1]) : "nothing";
    return `Traced memory over ${time(about.new.until_us)}: at most ${size(about.new.peak[0])}, ${last} ${about.new.end}`;
  }

  /** Draws anew, in the colours of the page. */
  render(): void {
    this.plot?.destroy();
    this.plot = null;
    const { times } = this.ticks;
    if (times.length < 2) {
      this.host.replaceChildren(h("p", { class: "empty" }, "One moment only: there is no timeline."));
      return;
    }
    this.host.replaceChildren();
    const style = getComputedStyle(document.documentElement);
    const color = (name: string): string => style.getPropertyValue(name).trim();
    const seconds = Array.from(times, (us) => us / 1e6);
    let below = new Float64Array(times.length);
    const columns: number[][] = [];
    const series: uPlot.Series[] = [{}];
    for (const band of this.bands) {
      const sum = below.map((value, at) => value + band.values[at]);
      columns.push(Array.from(sum));
      below = sum;
    }
    const { old } = this;
    // The highest band first: those below are drawn over it.
    for (const band of [...this.bands].reverse()) {
      series.push({
        stroke: color(`${band.color}-line`),
        fill: color(band.color),
        width: 1.25,
        points: { show: false },
      });
    }
    let data: uPlot.AlignedData = [seconds, ...columns.reverse()];
    if (old) {
      data = uPlot.join([
        [seconds, ...columns],
        [Array.from(old.times, (us) => us / 1e6), Array.from(old.live)],
      ]);
      series.push({ stroke: color("--muted"), width: 1.5, dash: [4, 3], points: { show: false }, spanGaps: true });
      for (const of of series.slice(1)) of.spanGaps = true;
    }
    const axis: uPlot.Axis = {
      stroke: color("--muted"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const options: uPlot.Options = {
      width: Math.max(this.host.clientWidth, 100),
      height: HEIGHT,
      padding: [10, 12, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: this.edges.length > 2, y: false, setScale: false }, points: { show: false }, y: false },
      scales: {
        x: { time: false, range: (_, __, most) => [0, most] },
        y: { range: (_, __, most) => [0, Math.max(most * 1.08, 1024)] },
      },
      axes: [
        {
          ...axis,
          size: 22,
          gap: 2,
          space: 90,
          values: (_, values) => values.map((value) => (value > 0 ? time(value * 1e6) : "")),
        },
        { ...axis, size: 62, gap: 4, values: (_, values) => values.map((value) => size(value)), splits: binarySplits },
      ],
      series,
      hooks: {
        setSelect: [() => this.selected()],
        setCursor: [(plot) => this.say(plot.cursor.idx ?? null)],
        draw: [(plot) => this.drawMarks(plot, color)],
      },
    };
    this.plot = new uPlot(options, data, this.host);
    this.host.querySelector("canvas")?.setAttribute("aria-hidden", "true");
    this.show(this.range);
  }

  private marks(): Mark[] {
    const { about } = this.recording;
    const marks: Mark[] = [];
    if (about.new.peak_us !== null) marks.push({ us: about.new.peak_us, text: `peak ${size(about.new.peak[0])}` });
    return marks;
  }

  private drawMarks(plot: uPlot, color: (name: string) => string): void {
    const { ctx: context } = plot;
    const ratio = devicePixelRatio;
    context.save();
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    for (const mark of this.marks()) {
      const x = Math.round(plot.valToPos(mark.us / 1e6, "x", true));
      const { top, height, left, width } = plot.bbox;
      context.strokeStyle = color("--accent");
      context.lineWidth = ratio;
      context.setLineDash([3 * ratio, 3 * ratio]);
      context.beginPath();
      context.moveTo(x, top);
      context.lineTo(x, top + height);
      context.stroke();
      context.fillStyle = color("--text");
      const isRight = x > left + width * 0.85;
      context.textAlign = isRight ? "right" : "left";
      context.textBaseline = "top";
      context.fillText(mark.text, x + (isRight ? -5 : 5) * ratio, top);
    }
    context.restore();
  }

  private say(tick: number | null): void {
    const { times } = this.ticks;
    const at = tick ?? times.length - 1;
    const parts: Node[] = [];
    for (const band of this.bands) {
      const swatch = svg(
        "svg",
        { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" },
        svg("rect", { width: 10, height: 10, rx: 2, fill: `var(${band.color})`, stroke: `var(${band.color}-line)` }),
      );
      const value = at >= 0 && at < band.values.length ? size(band.values[at]) : "";
      parts.push(h("span", { class: "band" }, swatch, `${band.name} `, h("b", {}, value)));
    }
    if (this.old) parts.push(h("span", { class: "band" }, "┄ traced, first file"));
    const when = at >= 0 && at < times.length ? (tick === null ? "at the end" : `at ${time(times[at])}`) : "";
    parts.push(h("span", { class: "when" }, when));
    this.legend.replaceChildren(...parts);
  }

  private selected(): void {
    const { plot } = this;
    if (this.isSetting || !plot) return;
    const { left, width } = plot.select;
    if (width < 2) {
      this.events.choose(null, true);
      return;
    }
    const boundary = (x: number): number => this.boundaryAt(plot.posToVal(x, "x") * 1e6);
    let [from, to] = [boundary(left), boundary(left + width)];
    if (from === to) [from, to] = from > 0 ? [from - 1, to] : [0, 1];
    this.events.choose([from, to], true);
  }

  /** The span boundary that is nearest to a moment. */
  boundaryAt(us: number): number {
    let nearest = 0;
    for (let at = 1; at < this.edges.length; at += 1) {
      if (Math.abs(this.edges[at] - us) < Math.abs(this.edges[nearest] - us)) nearest = at;
    }
    return nearest;
  }

  private slide(): void {
    const boundary = (slider: HTMLInputElement): number => this.boundaryAt(Number(slider.value));
    this.between(boundary(this.from), boundary(this.to));
  }

  /** Arrow keys go from one end of a span to the next, however long spans are. */
  private step(event: KeyboardEvent): void {
    const last = this.edges.length - 1;
    const [from, to] = this.range ?? [0, last];
    const isFrom = event.target === this.from;
    const now = isFrom ? from : to;
    const steps: Record<string, number> = {
      ArrowLeft: now - 1,
      ArrowDown: now - 1,
      ArrowRight: now + 1,
      ArrowUp: now + 1,
      PageDown: now - 10,
      PageUp: now + 10,
      Home: 0,
      End: last,
    };
    if (!Object.hasOwn(steps, event.key)) return;
    event.preventDefault();
    const next = Math.min(last, Math.max(0, steps[event.key]));
    if (isFrom) this.between(next, to);
    else this.between(from, next);
  }

  private between(from: number, to: number): void {
    const last = this.edges.length - 1;
    let [begin, end] = [from, to];
    if (begin >= end) {
      if (document.activeElement === this.from) begin = Math.max(0, end - 1);
      else end = Math.min(last, begin + 1);
    }
    if (begin >= end) return;
    this.events.choose(begin === 0 && end === last ? null : [begin, end], false);
  }

  /** Shows a range, however it was chosen. */
  show(range: [number, number] | null): void {
    this.range = range;
    const [from, to] = range ?? [0, this.edges.length - 1];
    this.from.value = String(this.edges[from] ?? 0);
    this.to.value = String(this.edges[to] ?? 0);
    this.from.setAttribute("aria-valuetext", time(this.edges[from] ?? 0));
    this.to.setAttribute("aria-valuetext", time(this.edges[to] ?? 0));
    const { plot } = this;
    if (!plot) return;
    this.isSetting = true;
    const x = (at: number): number => plot.valToPos(this.edges[at] / 1e6, "x");
    const { height } = plot.over.getBoundingClientRect();
    if (range) plot.setSelect({ left: x(from), width: x(to) - x(from), top: 0, height }, false);
    else plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.isSetting = false;
  }

  /** The moment of a boundary in microseconds. */
  moment(boundary: number): number {
    return this.edges[boundary] ?? 0;
  }

  get boundaries(): number {
    return this.edges.length;
  }

  private resize(): void {
    const width = this.host.clientWidth;
    if (this.plot && width > 0 && Math.abs(width - this.plot.width) > 1) {
      this.plot.setSize({ width, height: HEIGHT });
      this.show(this.range);
    }
  }
}

/** Round numbers of bytes: powers of two, or halves of them. */
function binarySplits(_: uPlot, __: number, least: number, most: number): number[] {
  let step = 1024;
  while (most / step > 4) step *= 2;
  const splits: number[] = [];
  for (let at = Math.ceil(least / step) * step; at <= most; at += step) splits.push(at);
  return splits;
}
