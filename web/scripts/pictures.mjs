// Takes pictures of a page, in light and dark: node scripts/pictures.mjs PAGE.html FOLDER

import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import puppeteer from "puppeteer-core";

/** Larger pictures make the README slow. */
const MOST_BYTES = 200_000;

const [page, folder] = process.argv.slice(2);
const executablePath = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync);
if (!page || !folder || !executablePath) {
  console.error(executablePath ? "usage: pictures.mjs PAGE.html FOLDER" : "chromium is not installed");
  process.exit(2);
}
const browser = await puppeteer.launch({ executablePath, headless: true, args: ["--no-sandbox"] });
for (const scheme of ["light", "dark"]) {
  const tab = await browser.newPage();
  await tab.setViewport({ width: 1280, height: 860 });
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await tab.goto(`file://${resolve(page)}`);
  await tab.waitForSelector("html[data-ready]");
  await new Promise((done) => setTimeout(done, 400));
  const path = join(folder, `page-${scheme}.png`);
  await tab.screenshot({ path });
  const { size } = statSync(path);
  console.log(`${path}: ${Math.round(size / 1000)} kB`);
  if (size > MOST_BYTES) process.exitCode = 1;
  await tab.close();
}
await browser.close();
