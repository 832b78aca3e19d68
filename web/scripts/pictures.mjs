// Takes pictures of pages: node scripts/pictures.mjs FOLDER NAME=PAGE.html[#VIEW]... A picture called NAME-dark is dark.

import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import puppeteer from "puppeteer-core";

/** Larger pictures make the README slow. */
const MOST_BYTES = 200_000;

const [folder, ...pictures] = process.argv.slice(2);
const executablePath = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync);
if (pictures.length === 0 || !executablePath) {
  console.error(executablePath ? "usage: pictures.mjs FOLDER NAME=PAGE.html[#VIEW]..." : "chromium is not installed");
  process.exit(2);
}
const browser = await puppeteer.launch({ executablePath, headless: true, args: ["--no-sandbox"] });
for (const picture of pictures) {
  const [, name, page, view] = /^([\w-]+)=([^#]+)(#.*)?$/.exec(picture) ?? [];
  if (!name || !page) throw new Error(`not NAME=PAGE.html: ${picture}`);
  const tab = await browser.newPage();
  await tab.setViewport({ width: 1280, height: 860 });
  const scheme = name.endsWith("-dark") ? "dark" : "light";
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await tab.goto(`file://${resolve(page)}${view ?? ""}`);
  await tab.waitForSelector("html[data-ready]");
  await new Promise((done) => setTimeout(done, 400));
  const path = join(folder, `${name}.png`);
  await tab.screenshot({ path });
  const { size } = statSync(path);
  console.log(`${path}: ${Math.round(size / 1000)} kB`);
  if (size > MOST_BYTES) process.exitCode = 1;
  await tab.close();
}
await browser.close();
