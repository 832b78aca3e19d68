// Runs tests: each file is bundled, so that TypeScript runs on any Node.
//
//     node scripts/test.mjs unit
//     node scripts/test.mjs browser

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const kind = process.argv[2] ?? "unit";
const only = process.argv[3];
// Below node_modules, so that packages that are not bundled are found.
const made = path(`../node_modules/.cache/heapsight/${kind}`);
rmSync(made, { recursive: true, force: true });
mkdirSync(made, { recursive: true });

const files = readdirSync(path(`../test/${kind}`)).filter((name) => name.endsWith(".test.ts"));
await build({
  entryPoints: files.map((name) => path(`../test/${kind}/${name}`)),
  bundle: true,
  platform: "node",
  format: "esm",
  outdir: made,
  outExtension: { ".js": ".mjs" },
  sourcemap: "inline",
  external: ["puppeteer-core", "axe-core"],
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
  },
});
const tests = readdirSync(made).filter((name) => name.endsWith(".mjs"));
const options = ["--enable-source-maps", "--test", "--test-reporter=spec", "--test-concurrency=1"];
if (only) options.push(`--test-name-pattern=${only}`);
const run = spawnSync(process.execPath, [...options, ...tests.map((name) => `${made}/${name}`)], { stdio: "inherit" });
process.exit(run.status ?? 1);
