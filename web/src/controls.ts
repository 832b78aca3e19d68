// The buttons above the graph: they show the state and change it.

import type { App } from "./app.ts";
import { byId } from "./dom.ts";
import { amount, share } from "./format.ts";
import type { State } from "./state.ts";
import type { View } from "./view.ts";

let isWired = false;
let typing = 0;

/** A group of buttons of which one is pressed. */
function choose(app: App, id: string, change: (value: string) => void): void {
  for (const button of byId(id).querySelectorAll("button")) {
    button.addEventListener("click", () => change(button.dataset.value ?? ""));
  }
  void app;
}

function press(id: string, value: string): void {
  for (const button of byId(id).querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.value === value));
  }
}

function wire(app: App): void {
  const { store } = app;
  choose(app, "metric", (metric) => {
    const { range } = store.state;
    store.set({ metric: metric as State["metric"], range: metric === "peak" ? null : range });
  });
  choose(app, "unit", (unit) => store.set({ unit: unit as State["unit"] }));
  choose(app, "width", (width) => store.set({ width: width as State["width"] }));
  choose(app, "scale", (colors) => store.set({ colors: colors as State["colors"] }));
  choose(app, "tabs", (table) => store.set({ table: table as State["table"] }));
  const toggle = (id: string, change: () => Partial<State>): void => {
    byId(id).addEventListener("click", () => store.set(change()));
  };
  toggle("inverted", () => ({ inverted: !store.state.inverted, zoom: "" }));
  toggle("threads", () => ({ threads: store.state.threads === "apart" ? "together" : "apart" }));
  toggle("recursion", () => ({ recursion: store.state.recursion === "whole" ? "folded" : "whole" }));
  toggle("compare", () => ({ compare: !store.state.compare, sort: "-size" }));
  toggle("to-peak", () => ({ metric: "peak", range: null }));
  toggle("to-end", () => ({ metric: "live", range: null }));
  toggle("to-whole", () => {
    const last = (app.timeline?.boundaries ?? 1) - 1;
    return { range: last > 0 ? [0, last] : null, metric: "allocated", compare: false };
  });
  byId("undo").addEventListener("click", () => store.undo());
  byId("redo").addEventListener("click", () => store.redo());
  byId("back").addEventListener("click", () => store.back());
  byId("out").addEventListener("click", () => app.out());
  byId("reset").addEventListener("click", () => store.set({ zoom: "" }));
  const search = byId<HTMLInputElement>("search");
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = window.setTimeout(() => store.set({ search: search.value }, "search"), 90);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      store.set({ search: "" });
    }
  });
  const filter = byId<HTMLInputElement>("filter");
  filter.addEventListener("input", () => store.set({ filter: filter.value }, "filter"));
}

export function showControls(app: App, view: View): void {
  if (!isWired) {
    isWired = true;
    wire(app);
  }
  const { state, found } = view;
  const { about } = app.recording;
  press("metric", state.metric);
  press("unit", state.unit);
  press("width", state.width);
  press("scale", state.colors);
  press("tabs", state.table);
  const setPressed = (id: string, is: boolean): void => byId(id).setAttribute("aria-pressed", String(is));
  setPressed("inverted", state.inverted);
  setPressed("threads", state.threads === "together");
  setPressed("recursion", state.recursion === "folded");
  setPressed("compare", state.compare);
  byId("threads").hidden = !(about.new.by_thread || about.old?.by_thread);
  byId("moments").hidden = app.isDifferenceOfFiles;
  const last = (app.timeline?.boundaries ?? 0) - 1;
  setPressed("to-peak", state.metric === "peak");
  setPressed("to-end", state.metric === "live" && !state.range);
  setPressed("to-whole", state.range !== null && state.range[0] === 0 && state.range[1] === last);
  byId<HTMLButtonElement>("compare").disabled = state.range === null;
  byId("difference").hidden = !view.isDifference;
  for (const button of byId("metric").querySelectorAll<HTMLButtonElement>("button")) {
    const isKnown = !about.new.ends_only || button.dataset.value === "live" || button.dataset.value === "peak";
    button.disabled = !isKnown;
    button.title = isKnown ? button.title : "The recording tells of the end and of the peak only";
  }
  byId<HTMLButtonElement>("undo").disabled = !app.store.canUndo;
  byId<HTMLButtonElement>("redo").disabled = !app.store.canRedo;
  const isOut = state.zoom === "";
  for (const id of ["back", "out", "reset"]) byId<HTMLButtonElement>(id).disabled = isOut && id !== "back";
  byId<HTMLButtonElement>("back").disabled = isOut && !app.store.canUndo;
  const search = byId<HTMLInputElement>("search");
  if (document.activeElement !== search) search.value = state.search;
  const filter = byId<HTMLInputElement>("filter");
  if (document.activeElement !== filter) filter.value = state.filter;
  filter.hidden = state.table !== "sites";
  const result = byId("matched");
  const isWrong = typeof found === "string";
  result.classList.toggle("wrong", isWrong);
  search.setAttribute("aria-invalid", String(isWrong));
  if (found === null) result.textContent = "";
  else if (typeof found === "string") result.textContent = found.slice(0, 120);
  else {
    const total = view.callees.now(0);
    result.textContent = `${amount(found.total, state.unit)} (${share(found.total, total)}) in ${found.frames} ${found.frames === 1 ? "frame" : "frames"}`;
  }
}
