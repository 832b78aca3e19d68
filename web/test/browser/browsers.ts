// Browsers and pages for tests: the machine's own Chromium and Firefox, driven without windows.

import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";

const ROOT = process.env.HEAPSIGHT_ROOT ?? join(process.cwd(), "..");
const MADE = join(ROOT, "target", "web");
/** Pictures that tests leave, to be looked at. */
export const PICTURES = join(MADE, "pictures");
const PROGRAMS = join(ROOT, "web", "test", "browser", "programs");
const HEAPSIGHT = process.env.HEAPSIGHT ?? join(ROOT, ".venv", "bin", "heapsight");

mkdirSync(PICTURES, { recursive: true });

export type Kind = "chromium" | "firefox";

const NAMES: Record<Kind, string[]> = {
  chromium: ["chromium", "chromium-browser", "google-chrome"],
  firefox: ["firefox-esr", "firefox"],
};

function onPath(names: string[]): string | null {
  for (const folder of (process.env.PATH ?? "").split(":")) {
    for (const name of names) if (existsSync(join(folder, name))) return join(folder, name);
  }
  return null;
}

/** The path of a browser; `null` where this machine has none. */
export const browserPath = (kind: Kind): string | null => onPath(NAMES[kind]);

/** Why tests in a browser are skipped; `false` if they are not. */
export const skipped = (kind: Kind): string | false => {
  if (!browserPath(kind)) return `${kind} is not installed`;
  return existsSync(HEAPSIGHT) ? false : "heapsight is not installed in .venv";
};

export async function launch(kind: Kind): Promise<Browser> {
  const executablePath = browserPath(kind) as string;
  if (kind === "firefox") return puppeteer.launch({ browser: "firefox", executablePath, headless: true });
  return puppeteer.launch({ executablePath, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
}

/** Runs a program traced, once, and gives its capture. */
export function capture(program: string, ...options: string[]): string {
  const name = [program.replace(/\.py$/, ""), ...options].join("").replace(/[^\w]/g, "");
  const path = join(MADE, `${name}.heapsight`);
  if (!recorded.has(path)) {
    const run = spawnSync(HEAPSIGHT, ["run", "--force", ...options, "-o", path, program], {
      encoding: "utf8",
      cwd: PROGRAMS,
    });
    if (!existsSync(path)) throw new Error(`no capture of ${program}: ${run.stderr}`);
    recorded.add(path);
  }
  return path;
}

const recorded = new Set<string>();

/** A copy of a capture, cut off after so many bytes. */
export function cut(path: string, bytes: number): string {
  const copy = path.replace(/\.heapsight$/, `-cut${bytes}.heapsight`);
  copyFileSync(path, copy);
  truncateSync(copy, bytes);
  return copy;
}

/** Has heapsight write the page of captures, and gives the page's path. */
export function write(name: string, captures: string[], ...options: string[]): string {
  const path = join(MADE, `${name}.html`);
  execFileSync(HEAPSIGHT, ["flamegraph", "--force", ...options, "-o", path, ...captures], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  return path;
}

export interface Opened {
  page: Page;
  /** What the page complained of: errors, refused loads, messages on the console. */
  complaints: string[];
}

/** Opens a page and waits until all of it is shown. */
export async function open(browser: Browser, path: string, hash = "", [width, height] = [1400, 900]): Promise<Opened> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) complaints.push(`request: ${request.url().slice(0, 100)}`);
  });
  await page.setViewport({ width, height });
  await page.goto(`file://${path}${hash}`);
  await page.waitForSelector("html[data-ready]", { timeout: 60_000 });
  return { page, complaints };
}

/** Waits until the page shows what its state says. */
export async function settle(page: Page): Promise<void> {
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        // A zoom takes as many frames as it needs; then nothing is left to draw.
        let last = -1;
        const look = (): void => {
          const { frames } = (window as never as { heapsight: { flame: { timing: { frames: number } } } }).heapsight
            .flame.timing;
          if (frames === last) resolve();
          else {
            last = frames;
            setTimeout(look, 120);
          }
        };
        setTimeout(look, 120);
      }),
  );
}

export async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(PICTURES, `${name}.png`) as `${string}.png` });
}

/** Text of an element as it is read: cells and lines apart. */
export const textOf = (page: Page, selector: string): Promise<string> =>
  // biome-ignore lint/performance/useDomNodeTextContent: how it is rendered is what is tested
  page.$eval(selector, (element) => (element as HTMLElement).innerText);

export interface Box {
  name: string;
  place: string;
  now: number;
  x: number;
  y: number;
  width: number;
}

/** What the page leaves for its tests. */
interface PageParts {
  labels: { name: (key: number) => string; place: (key: number) => string };
  flame: {
    made: { nodes: Int32Array; count: number; rows: Int32Array };
    tree: { key: (node: number) => number; now: (node: number) => number };
    boxOf: (node: number) => { x: number; y: number; width: number } | null;
  };
}

/** The boxes that are drawn, row by row, with where they are in the window. */
export function boxes(page: Page): Promise<Box[]> {
  return page.evaluate(() => {
    const { flame, labels } = (window as unknown as { heapsight: PageParts }).heapsight;
    const { tree } = flame;
    const canvas = document.getElementById("flame")?.getBoundingClientRect() as DOMRect;
    const found: Box[] = [];
    const { nodes, count } = flame.made;
    for (let at = 0; at < count; at += 1) {
      if (nodes[at] < 0) continue;
      const box = flame.boxOf(nodes[at]);
      if (!box || box.width < 1) continue;
      const key = tree.key(nodes[at]);
      found.push({
        name: labels.name(key),
        place: labels.place(key),
        now: tree.now(nodes[at]),
        x: canvas.left + box.x + box.width / 2,
        y: canvas.top + box.y + 8,
        width: box.width,
      });
    }
    return found;
  });
}

/** What axe-core finds wrong with the page as it is. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(join(ROOT, "web", "node_modules", "axe-core", "axe.min.js"), "utf8"));
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: () => Promise<{ violations: Violation[] }> } };
    const found = await axe.run();
    return found.violations.map((of) => `${of.id}: ${of.nodes[0].html.slice(0, 200)}`);
  });
}

interface Violation {
  id: string;
  nodes: { html: string }[];
}
