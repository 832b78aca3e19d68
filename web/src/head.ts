// What stands above everything: the sentence, what was traced, and what limits the figures.

import type { App } from "./app.ts";
import { byId, copyText, h, say } from "./dom.ts";
import { chooseEditor, chosenEditor, editors } from "./editor.ts";
import { amount, change, margin, relative, share, size, time } from "./format.ts";
import type { Side } from "./recording.ts";
import type { View } from "./view.ts";

const THEME_KEY = "heapsight-theme";

export function showHead(app: App): void {
  const { about } = app.recording;
  const { new: now, old } = about;
  byId("name").textContent = (old ? `${old.name} → ${now.name}` : now.name).slice(0, 200);
  byId("facts").textContent = now.facts.join(" · ").slice(0, 2000);
  const sentence = byId("sentence");
  sentence.replaceChildren(...sentenceOf(about.sentence ?? (old ? differenceSentence(now, old) : emptySentence(now))));
  const warnings = [...now.warnings, ...(old?.warnings ?? []).map((text) => `${old?.name}: ${text}`)];
  const list = byId("warnings");
  list.replaceChildren(...warnings.map((text) => h("li", {}, capital(text.slice(0, 2000)))));
  list.hidden = warnings.length === 0;
  const losses = byId("losses");
  losses.replaceChildren(...about.losses.map((text) => h("li", {}, capital(text.slice(0, 4000)))));
  losses.hidden = about.losses.length === 0;
  byId("made").textContent = `Made by heapsight ${about.version}`;
  showSettings(app);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The share in front is what people read first. */
function sentenceOf(text: string): Node[] {
  const found = /^(\d+ %)(.*?)(: )(.*)$/s.exec(text);
  if (!found) return [document.createTextNode(text)];
  const [, part, what, , path] = found;
  return [
    h("strong", {}, part),
    document.createTextNode(`${what}:`),
    document.createTextNode(" "),
    h("span", { class: "path" }, path),
  ];
}

function differenceSentence(now: Side, old: Side): string {
  const by = now.live[0] - old.live[0];
  const peak = now.peak[0] - old.peak[0];
  const said = (name: string, change_: number, after: number, before: number): string =>
    change_ === 0
      ? `${name} is the same (${size(after)})`
      : `${name} ${change_ > 0 ? "grew" : "shrank"} by ${size(Math.abs(change_))} (${relative(after, before) || "to nothing"})`;
  return `${said("Live memory", by, now.live[0], old.live[0])}; ${said("the peak", peak, now.peak[0], old.peak[0])}.`;
}

function emptySentence(now: Side): string {
  return now.peak[0] > 0 ? "Nothing but imported code holds memory." : "Nothing was allocated while this was recorded.";
}

/** What the graph shows, in words: above it, and for those who do not see it. */
export function showWords(app: App, view: View): void {
  const { state, callees } = view;
  const { new: now } = app.recording.about;
  const total = callees.now(0);
  const what: Record<string, string> = {
    live: "live memory",
    peak: "live memory at the peak",
    allocated: "memory allocated",
    temporary: "memory freed before anything else was allocated",
  };
  const moment = (boundary: number): string => time(app.timeline?.moment(boundary) ?? 0);
  let text: string;
  if (app.isDifferenceOfFiles) {
    text = `${change(total - callees.before(0), state.unit)} ${what[state.metric]}`;
  } else if (state.range && state.metric !== "peak") {
    const [from, to] = state.range;
    if (state.compare)
      text = `${change(total - callees.before(0), state.unit)} ${what[state.metric]}, ${moment(to)} compared with ${moment(from)}`;
    else if (state.metric === "live")
      text = `${amount(total, state.unit)} allocated between ${moment(from)} and ${moment(to)} and still live then`;
    else text = `${amount(total, state.unit)} ${what[state.metric]} between ${moment(from)} and ${moment(to)}`;
  } else {
    const when =
      state.metric === "live"
        ? ` ${now.end}`
        : state.metric === "peak" && now.peak_us !== null
          ? ` (${time(now.peak_us)})`
          : "";
    text = `${amount(total, state.unit)} ${what[state.metric]}${when}`;
    const error = state.unit === "bytes" ? margin(total, now.mean_bytes) : null;
    if (error !== null) text += ` ± ${size(error)}`;
  }
  const zoomed = view.zoomed > 0 ? `, of it ${share(view.tree.now(view.zoomed), total)} shown` : "";
  byId("words").textContent = text + zoomed;
}

function showSettings(app: App): void {
  const theme = byId<HTMLButtonElement>("theme");
  const root = document.documentElement;
  const isDark = (): boolean =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const set = (dark: boolean): void => {
    root.dataset.theme = dark ? "dark" : "light";
    theme.setAttribute("aria-pressed", String(dark));
  };
  try {
    const stored = localStorage.getItem(THEME_KEY);
    if (stored) set(stored === "dark");
  } catch {
    // Nowhere to keep it.
  }
  theme.setAttribute("aria-pressed", String(isDark()));
  theme.addEventListener("click", () => {
    set(!isDark());
    try {
      localStorage.setItem(THEME_KEY, isDark() ? "dark" : "light");
    } catch {
      // Nowhere to keep it.
    }
    app.repaint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.repaint());
  const editor = byId<HTMLSelectElement>("editor");
  editor.replaceChildren(
    ...editors().map(([key, name]) => h("option", { value: key, selected: key === chosenEditor() }, name)),
  );
  editor.addEventListener("change", () => {
    chooseEditor(editor.value);
    app.repaint();
  });
  byId("link").addEventListener("click", () => {
    void copyText(location.href).then((isCopied) =>
      say(isCopied ? "A link to this view was copied" : "The address of the page leads back to this view"),
    );
  });
}
