// Builds the page: TypeScript, styles and uPlot in one file, ../crates/report/assets/page.html.
//
//     node scripts/build.mjs            write it
//     node scripts/build.mjs --check    fail if it is not what the sources give

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const read = (relative) => readFileSync(path(relative), "utf8");

const PAGE = path("../../crates/report/assets/page.html");
const TARGET = ["chrome103", "firefox113", "safari16.4"];

const LICENSE = `/* heapsight: MIT OR Apache-2.0. With uPlot ${JSON.parse(read("../node_modules/uplot/package.json")).version}:
${read("../licenses/uplot.txt").trim()} */`;

async function script() {
  const made = await build({
    entryPoints: [path("../src/main.ts")],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: TARGET,
    charset: "utf8",
    legalComments: "none",
  });
  const text = made.outputFiles[0].text.trim();
  // Within a page a script ends at the first such tag, whatever it stands in.
  if (/<\/script|<!--/i.test(text)) throw new Error("the script has text in it that would end it");
  return text;
}

async function style() {
  const dark = read("../src/dark.css");
  const both = `:root[data-theme="dark"] { ${dark} }
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { ${dark} } }
@media print { :root[data-theme] { color-scheme: light; } }`;
  const text = read("../node_modules/uplot/dist/uPlot.min.css") + read("../src/style.css").replace("/*dark*/", both);
  const made = await transform(text, { loader: "css", minify: true, target: TARGET, charset: "utf8" });
  return made.code.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Only what is in the page runs in it, and it reaches nothing outside. */
function policy(code, css) {
  const rules = [
    "default-src 'none'",
    `script-src ${hash(code)}`,
    `style-src ${hash(css)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ];
  return `<meta http-equiv="Content-Security-Policy" content="${rules.join("; ")}">`;
}

async function page() {
  const code = `${LICENSE}\n${await script()}`;
  const css = await style();
  const parts = {
    "<!--build:policy-->": policy(code, css),
    "<!--build:style-->": `<style>${css}</style>`,
    "<!--build:script-->": `<script>${code}</script>`,
  };
  let text = read("../src/page.html");
  for (const [mark, part] of Object.entries(parts)) text = text.split(mark).join(part);
  return text;
}

const made = await page();
if (process.argv.includes("--check")) {
  if (readFileSync(PAGE, "utf8") !== made) {
    console.error("crates/report/assets/page.html is not what web/ gives: run `make web` and commit it");
    process.exit(1);
  }
} else {
  writeFileSync(PAGE, made);
  console.log(`crates/report/assets/page.html: ${Math.round(made.length / 1024)} KiB`);
}
