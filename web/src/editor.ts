// Links that open a file in an editor of this machine.

import { h } from "./dom.ts";

/** Names of editors and the addresses they listen to. */
const EDITORS: Record<string, [string, (path: string, line: number) => string]> = {
  vscode: ["VS Code", (path, line) => `vscode://file${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}:${line}`],
  cursor: ["Cursor", (path, line) => `cursor://file${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}:${line}`],
  pycharm: ["PyCharm", (path, line) => `pycharm://open?file=${encodeURIComponent(path)}&line=${line}`],
  sublime: ["Sublime Text", (path, line) => `subl://open?url=${encodeURIComponent(`file://${path}`)}&line=${line}`],
  zed: ["Zed", (path, line) => `zed://file${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}:${line}`],
};

const KEY = "heapsight-editor";

function stored(): string {
  try {
    return localStorage.getItem(KEY) ?? "vscode";
  } catch {
    return "vscode";
  }
}

let chosen = stored();

export function editors(): [string, string][] {
  return Object.entries(EDITORS).map(([key, [name]]) => [key, name]);
}

export function chosenEditor(): string {
  return chosen in EDITORS ? chosen : "vscode";
}

export function chooseEditor(key: string): void {
  chosen = key;
  try {
    localStorage.setItem(KEY, key);
  } catch {
    // A page opened from disk may have nowhere to keep it.
  }
}

/** A link to a line of a file; nothing where the file is not known. */
export function editorLink(path: string | null, line: number): HTMLAnchorElement | null {
  if (!path) return null;
  const [name, address] = EDITORS[chosenEditor()];
  return h("a", { class: "editor", href: address(path, Math.max(line, 1)), rel: "noreferrer" }, `Open in ${name}`);
}
