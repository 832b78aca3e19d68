// Measures a page in Chromium: first paint, search, frames while zooming.
//
//     node scripts/bench.mjs PAGE.html [ROUNDS]

import { statSync } from "node:fs";
import { resolve } from "node:path";
import puppeteer from "puppeteer-core";

const [page, rounds = "5"] = process.argv.slice(2);
const path = resolve(page);
const paints = [];
const processor = [];
const searches = [];
const frames = [];
const gaps = [];
const searching = [];
const drawing = [];
for (let round = 0; round < Number(rounds); round += 1) {
  const browser = await puppeteer.launch({
    executablePath: "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox"],
  });
  const tab = await browser.newPage();
  await tab.setViewport({ width: 1400, height: 900 });
  // On a busy machine others' time counts in what a clock shows: the processor's time is told beside it.
  const session = await tab.createCDPSession();
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  await session.send("Debugger.enable");
  session.on("Debugger.paused", async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    processor.push(metrics.find((metric) => metric.name === "TaskDuration").value * 1000);
    await session.send("Debugger.resume");
  });
  await tab.evaluateOnNewDocument(() => {
    document.addEventListener("heapsight:painted", () => {
      // biome-ignore lint/suspicious/noDebugger: it stops the page at the moment that is measured
      debugger;
    });
  });
  await tab.goto(`file://${path}`, { timeout: 180_000 });
  await tab.waitForSelector("html[data-ready]", { timeout: 180_000 });
  const busy = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find((metric) => metric.name === "TaskDuration").value * 1000;
  };
  const before = await busy();
  const searched = await tab.evaluate(async () => {
    const app = window.heapsight;
    const searched = [];
    for (const search of ["method_3", "area1\\d/.*Class[1-4]", "^zzz$", "Class\\d+5\\."]) {
      const begun = performance.now();
      await app.views.of({ ...app.store.state, search });
      searched.push(performance.now() - begun);
    }
    return searched;
  });
  const middle = await busy();
  const found = await tab.evaluate(async () => {
    const app = window.heapsight;
    const begun = app.flame.timing.all;
    const drawn = [];
    const between = [];
    const wait = () => new Promise((done) => requestAnimationFrame(done));
    for (let step = 0; step < 12; step += 1) {
      const { tree, made } = app.flame;
      // To a box that is drawn, or back to everything.
      const at = Math.floor((made.count * ((step * 7) % 10)) / 10);
      const node = step % 3 === 2 ? 0 : Math.max(0, made.nodes[at]);
      app.flame.show({ ...app.flame.shown, tree }, node);
      let last = await wait();
      for (let frame = 0; frame < 12; frame += 1) {
        const now = await wait();
        between.push(now - last);
        last = now;
        drawn.push(app.flame.timing.last);
      }
    }
    const count = app.flame.timing.all - begun;
    return { paint: app.firstPaint, drawn, between, count, nodes: app.recording.nodes };
  });
  paints.push(found.paint);
  searches.push(...searched);
  searching.push((middle - before) / searched.length);
  drawing.push(((await busy()) - middle) / found.count);
  frames.push(...found.drawn);
  gaps.push(...found.between);
  if (round === 0) console.log(`${found.nodes} nodes, ${(statSync(path).size / 1e6).toFixed(1)} MB`);
  await browser.close();
}
const told = (name, values) => {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(1);
  console.log(`${name}: least ${at(0)}, median ${at(0.5)}, 95 % ${at(0.95)}, most ${at(1)} ms`);
};
told("first paint", paints);
told("first paint, time of the processor", processor);
told("search", searches);
told("search, time of the processor", searching);
told("a frame of a zoom, time of the processor", drawing);
told("drawing a frame of a zoom", frames);
told("between frames", gaps);
