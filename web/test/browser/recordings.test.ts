// Recordings of every kind: none, few and many call paths, hostile names, cut off, sampled, compared.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "puppeteer-core";
import { boxes, capture, cut, launch, open, picture, settle, skipped, textOf, violations, write } from "./browsers.ts";

describe("pages of all kinds of recordings", { skip: skipped("chromium") }, () => {
  let browser: Browser;

  before(async () => {
    browser = await launch("chromium");
  });

  after(() => browser?.close());

  test("what a program chose as names is text and nothing else", async () => {
    const path = write("hostile", [capture("hostile.py", "--threads")]);
    const { page, complaints } = await open(browser, path);
    assert.doesNotMatch(await page.title(), /taken/);
    assert.deepEqual(complaints, []);
    const drawn = await boxes(page);
    assert.ok(drawn.some((box) => box.name.includes("<img src=x onerror=")));
    assert.ok(
      drawn.some((box) => box.name.includes("\\u{202e}")),
      "marks that turn text around are spelled out",
    );
    assert.equal(await page.$$eval("img, script[src], iframe", (found) => found.length), 0);
    for (const box of drawn.slice(0, 12)) {
      await page.mouse.move(box.x, box.y);
      await page.mouse.click(box.x, box.y, { button: "right" });
    }
    await page.keyboard.press("Escape");
    const rows = await page.$$eval("#table tbody tr", (found) => found.length);
    for (let row = 1; row <= rows; row += 1) {
      await page.evaluate(
        (at) => (document.querySelector(`#table tbody tr:nth-child(${at})`) as HTMLElement).click(),
        row,
      );
    }
    await page.type("#search", "</script>|__proto__");
    await page.waitForFunction(() => document.getElementById("matched")?.textContent?.includes("frame"));
    await picture(page, "hostile");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.ok(!overflow, "a long name makes the page no wider");
    assert.doesNotMatch(await page.title(), /taken/);
    assert.deepEqual(complaints, []);
  });

  test("nothing outside of the page's own script runs in it", async () => {
    const path = write("one", [capture("one.py")]);
    const { page } = await open(browser, path);
    const outcome = await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.injected = true";
      document.body.append(script);
      const image = new Image();
      image.src = "http://127.0.0.1:9/x.png";
      document.body.append(image);
      return (window as never as { injected?: boolean }).injected === true;
    });
    assert.equal(outcome, false);
  });

  test("a recording with one call path, and one with nothing", async () => {
    const capturePath = capture("one.py");
    const one = await open(browser, write("one", [capturePath]));
    assert.match(await textOf(one.page, "#sentence"), /^(9\d|100) % of the memory at exit .* one\.py:1/);
    await picture(one.page, "one-path");
    const none = await open(browser, write("none", [cut(capturePath, 400)]));
    assert.match(await textOf(none.page, "#sentence"), /Nothing was allocated/);
    assert.match(await textOf(none.page, "#warnings"), /not one tick was written/);
    assert.match(await textOf(none.page, "#table"), /No call site/);
    await picture(none.page, "nothing");
    assert.deepEqual([...one.complaints, ...none.complaints], []);
  });

  test("recursion of thousands of calls is drawn, scrolled, and folded on request", async () => {
    const { page, complaints } = await open(browser, write("deep", [capture("deep.py")]));
    const rows = (): Promise<number> =>
      page.evaluate(
        () =>
          (window as never as { heapsight: { flame: { made: { rows: Int32Array } } } }).heapsight.flame.made.rows
            .length,
      );
    assert.ok((await rows()) > 2000);
    await page.evaluate(() => {
      const scroller = document.getElementById("flame-scroller") as HTMLElement;
      scroller.scrollTop = scroller.scrollHeight / 2;
    });
    await settle(page);
    await picture(page, "deep");
    const canvas = await page.$eval("#flame", (found) => (found as HTMLCanvasElement).height);
    assert.ok(canvas < 2000, `a canvas of ${canvas} rows of pixels`);
    await page.click("#recursion");
    await settle(page);
    assert.ok((await rows()) < 20);
    await picture(page, "deep-folded");
    assert.deepEqual(complaints, []);
  });

  test("a program that was killed: the page says until when it knows", async () => {
    const { page } = await open(browser, write("killed", [capture("killed.py", "--tick=50")]));
    assert.match(await textOf(page, "#warnings"), /the recording has no end .* true up to the last complete tick/i);
    assert.match(await textOf(page, "#words"), /at the last tick$/);
    await picture(page, "killed");
  });

  test("a sampled recording tells how sure its figures are", async () => {
    const { page } = await open(browser, write("sampled", [capture("leak.py", "--sample")]));
    assert.match(await textOf(page, "#words"), / ± /);
    assert.match(await textOf(page, "#table tbody tr:first-child"), / ± /);
    await picture(page, "sampled");
  });

  test("two files are compared: red grew, blue shrank", async () => {
    const [old, now] = [capture("one.py"), capture("leak.py", "--tick=20", "--threads")];
    const { page, complaints } = await open(browser, write("compared", [old, now]));
    assert.match(await textOf(page, "#sentence"), /^Live memory grew by/);
    assert.match(await textOf(page, "#table thead"), /Before[\s\S]*After[\s\S]*Change/);
    assert.match(await textOf(page, "#table tbody"), /\+[\s\S]*−/);
    await page.click("#scale [data-value=relative]");
    await page.click("#width [data-value=new]");
    await settle(page);
    await picture(page, "compared");
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(complaints, []);
  });

  test("a span that was asked for is shown as the difference of its moments", async () => {
    const { page } = await open(
      browser,
      write("span", [capture("leak.py", "--tick=20", "--threads")], "--range", "0.2..0.8"),
    );
    assert.match(await textOf(page, "#words"), /^[+−].* compared with /);
    await picture(page, "span");
  });

  test("without source the page has none", async () => {
    const { page } = await open(
      browser,
      write("no-source", [capture("leak.py", "--tick=20", "--threads")], "--no-source"),
    );
    await page.click("#table tbody tr:first-child");
    await page.waitForSelector("#source h3");
    assert.match(await textOf(page, "#source"), /--no-source/);
  });

  test("the page fits windows of all sizes, and is printed light", async () => {
    const path = write("leak", [capture("leak.py", "--tick=20", "--threads")]);
    const sizes: [number, number][] = [
      [1400, 900],
      [800, 600],
      [390, 844],
    ];
    for (const size of sizes) {
      const { page } = await open(browser, path, "#selected=1", size);
      await picture(page, `size-${size[0]}`);
      assert.ok(
        await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        `${size[0]} columns are enough`,
      );
      await page.close();
    }
    const { page } = await open(browser, path);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    await picture(page, "dark");
    await page.emulateMediaType("print");
    assert.equal(await page.$eval(".tools", (tools) => getComputedStyle(tools).display), "none");
    await picture(page, "print");
  });
});
