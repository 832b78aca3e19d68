// Modules and their colours; each can be shown whole, folded into one box, or left out.

import { boxColor } from "./colors.ts";
import { h } from "./dom.ts";
import { amount, share, type Unit } from "./format.ts";
import { IMPORT_SYSTEM, OTHER, type Recording, STANDARD_LIBRARY } from "./recording.ts";
import type { Shown, State } from "./state.ts";

/** Modules that are listed one by one. */
const MOST = 12;

interface Entry {
  /** As the state names it: a module, or an owner. */
  key: string;
  name: string;
  color: [number, number];
  value: number;
}

const NEXT: Record<Shown, Shown> = { whole: "folded", folded: "hidden", hidden: "whole" };
const SAID: Record<Shown, string> = { whole: "shown", folded: "folded", hidden: "left out" };

export interface LegendView {
  state: State;
  /** Figures of each module, by whose frames they were allocated. */
  values: Float64Array;
  total: number;
  colors: [number, number][];
  unit: Unit;
  isDark: boolean;
}

export function showLegend(
  root: HTMLElement,
  recording: Recording,
  of: LegendView,
  change: (modules: State["modules"]) => void,
): void {
  const entries = entriesOf(recording, of);
  const { modules } = of.state;
  const shownOf = (key: string): Shown => modules[key] ?? "whole";
  const chips = entries.map((entry) => {
    const shown = shownOf(entry.key);
    const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = boxColor(entry.color, 0, of.isDark);
    const next = NEXT[shown];
    return h(
      "button",
      {
        type: "button",
        class: `chip ${shown}`,
        title: `${entry.name}: ${amount(entry.value, of.unit)}, ${SAID[shown]}. Click: ${SAID[next]}`,
        click: () => change({ ...modules, [entry.key]: next }),
      },
      swatch,
      h("span", { class: "name" }, entry.name.slice(0, 40)),
      h("span", { class: "value" }, share(entry.value, of.total)),
      h("span", { class: shown === "whole" ? "offscreen" : "how" }, SAID[shown]),
    );
  });
  const isWhole = Object.values(modules).every((shown) => shown === "whole");
  const all = h(
    "button",
    { type: "button", class: "chip all", click: () => change(isWhole ? { o2: "folded", o3: "folded" } : {}) },
    isWhole ? "Fold libraries and imports" : "Show everything whole",
  );
  root.replaceChildren(...chips, all);
}

/** The standard library and the import system are one entry each; so are modules without much memory. */
function entriesOf(recording: Recording, of: LegendView): Entry[] {
  const sums = new Map<string, Entry>();
  for (let module = 0; module < recording.moduleCount; module += 1) {
    const owner = recording.ownerOf(module);
    const isOne = owner === STANDARD_LIBRARY || owner === IMPORT_SYSTEM;
    if (owner === OTHER && of.values[module] <= 0) continue;
    const key = isOne ? `o${owner}` : String(module);
    const name = owner === STANDARD_LIBRARY ? "standard library" : recording.moduleName(module);
    const entry = sums.get(key) ?? { key, name, color: of.colors[module] ?? [0, 0], value: 0 };
    entry.value += of.values[module];
    sums.set(key, entry);
  }
  const entries = [...sums.values()].sort((one, other) => other.value - one.value);
  const chosen = entries.filter((entry, at) => at < MOST || of.state.modules[entry.key] !== undefined);
  return chosen.filter(
    (entry) => entry.value >= of.total / 2000 || (of.state.modules[entry.key] ?? "whole") !== "whole",
  );
}
