// Everything can be done without a pointer.

import type { App } from "./app.ts";
import { byId } from "./dom.ts";

export function listenForKeys(app: App): void {
  const help = byId<HTMLDialogElement>("help");
  byId("show-help").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const isTyping = target.matches("input:not([type=range]), textarea, select");
    const isControl = event.ctrlKey || event.metaKey;
    if (isControl && event.key.toLowerCase() === "z" && !isTyping) {
      event.preventDefault();
      if (event.shiftKey) app.store.redo();
      else app.store.undo();
      return;
    }
    if (isControl || event.altKey || isTyping || help.open) return;
    if (target.id === "flame" && inGraph(app, event)) {
      event.preventDefault();
      return;
    }
    const { store } = app;
    const does: Record<string, () => void> = {
      "/": () => byId("search").focus(),
      "?": () => help.showModal(),
      i: () => store.set({ inverted: !store.state.inverted, zoom: "" }),
      r: () => store.set({ recursion: store.state.recursion === "whole" ? "folded" : "whole" }),
      b: () => store.set({ unit: store.state.unit === "bytes" ? "blocks" : "bytes" }),
      "1": () => byId("metric").querySelectorAll("button")[0].click(),
      "2": () => byId("metric").querySelectorAll("button")[1].click(),
      "3": () => byId("metric").querySelectorAll("button")[2].click(),
      "4": () => byId("metric").querySelectorAll("button")[3].click(),
      "0": () => store.set({ zoom: "" }),
      g: () => byId("flame").focus(),
      d: () => byId("compare").click(),
      u: () => store.undo(),
      Escape: () => leave(app),
    };
    const action = does[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("pointerdown", (event) => {
    const isOutside = !byId("tip").contains(event.target as Node);
    if (app.tip.isPinned && isOutside) app.tip.hide();
  });
}

function leave(app: App): void {
  if (app.tip.isPinned) {
    app.tip.hide();
    byId("flame").focus();
  } else {
    app.out();
  }
}

/** Keys while the graph has the focus. */
function inGraph(app: App, event: KeyboardEvent): boolean {
  const { flame } = app;
  const node = flame.focusedNode;
  switch (event.key) {
    case "ArrowUp":
      return flame.step("up");
    case "ArrowDown":
      return flame.step("down");
    case "ArrowLeft":
      return flame.step("left");
    case "ArrowRight":
      return flame.step("right");
    case "Enter":
    case " ":
      app.zoom(node);
      return true;
    case "Backspace":
      app.store.back();
      return true;
    case "p": {
      const box = flame.boxOf(node);
      const canvas = byId("flame").getBoundingClientRect();
      app.pin(node, canvas.left + (box?.x ?? 0) + 8, canvas.top + (box?.y ?? 0));
      return true;
    }
    case "s": {
      const key = flame.tree?.key(node) ?? -1;
      app.select(key);
      return true;
    }
    case "c": {
      const of = app.tipView(node);
      if (of) void app.tip.copy(of);
      return true;
    }
    default:
      return false;
  }
}
