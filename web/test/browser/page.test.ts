// The page as a person uses it, in Chromium and in Firefox.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "puppeteer-core";
import {
  boxes,
  capture,
  type Kind,
  launch,
  open,
  picture,
  settle,
  skipped,
  textOf,
  violations,
  write,
} from "./browsers.ts";

for (const kind of ["chromium", "firefox"] as Kind[]) {
  describe(`the page in ${kind}`, { skip: skipped(kind) }, () => {
    let browser: Browser;
    let path = "";

    before(async () => {
      path = write("leak", [capture("leak.py", "--tick=20", "--threads")]);
      browser = await launch(kind);
    });

    after(() => browser?.close());

    test("shows the recording without an error and without asking for anything outside", async () => {
      const { page, complaints } = await open(browser, path);
      await picture(page, `${kind}-first`);
      assert.match(await textOf(page, "#sentence"), /^\d+ % of .* is from one line: leak\.py:14 Session/);
      assert.match(await textOf(page, "#words"), /MiB live memory at exit$/);
      assert.match(await textOf(page, "#table tbody tr:first-child"), /leak\.py:14/);
      assert.match(await textOf(page, "#facts"), /exact for Python's allocators/);
      const drawn = await boxes(page);
      assert.equal(drawn[0].name, "all memory");
      assert.ok(drawn.some((box) => box.name.startsWith("thread worker-1")));
      assert.deepEqual(complaints, []);
      await page.close();
    });

    test("zooms where it is clicked, and goes back, out and to the whole", async () => {
      const { page } = await open(browser, path);
      const box = (await boxes(page)).find((found) => found.name === "handle");
      assert.ok(box);
      await page.mouse.click(box.x, box.y);
      await settle(page);
      const zoomed = (await boxes(page)).find((found) => found.name === "handle");
      const width = await page.$eval("#flame", (canvas) => canvas.clientWidth);
      assert.ok(zoomed && Math.abs(zoomed.width - width) < 2, `${zoomed?.width} of ${width}`);
      assert.match(await textOf(page, "#words"), /% shown$/);
      await picture(page, `${kind}-zoomed`);
      await page.click("#out");
      await settle(page);
      assert.ok(!(await textOf(page, "#reset")).includes("disabled"));
      await page.click("#back");
      await settle(page);
      await page.click("#reset");
      await settle(page);
      assert.doesNotMatch(await textOf(page, "#words"), /shown$/);
      assert.equal(await page.evaluate(() => location.hash.includes("zoom")), false);
      await page.close();
    });

    test("finds frames by an expression and says how much memory they are on", async () => {
      const { page } = await open(browser, path);
      await page.type("#search", "session|burst");
      await page.waitForFunction(() => document.getElementById("matched")?.textContent?.includes("frame"));
      await settle(page);
      assert.match(await textOf(page, "#matched"), /^\d.* \(\d+\.\d %\) in \d+ frames$/);
      await picture(page, `${kind}-search`);
      await page.$eval("#search", (input) => {
        (input as HTMLInputElement).value = "";
      });
      await page.type("#search", "(");
      await page.waitForFunction(() => document.getElementById("matched")?.classList.contains("wrong"));
      await page.close();
    });

    test("shows what was allocated in a range that is dragged, and the difference of its ends", async () => {
      const { page } = await open(browser, path);
      const plot = await page.$eval(".u-over", (over) => {
        const { left, top, width, height } = over.getBoundingClientRect();
        return { left, top, width, height };
      });
      const y = plot.top + plot.height / 2;
      await page.mouse.move(plot.left + plot.width * 0.3, y);
      await page.mouse.down();
      await page.mouse.move(plot.left + plot.width * 0.5, y, { steps: 4 });
      await page.mouse.move(plot.left + plot.width * 0.7, y, { steps: 4 });
      await page.mouse.up();
      await page.waitForFunction(() => document.getElementById("words")?.textContent?.includes("between"));
      await settle(page);
      assert.match(await textOf(page, "#words"), /allocated between .* and .* and still live then$/);
      await picture(page, `${kind}-range`);
      await page.click("#compare");
      await page.waitForFunction(() => document.getElementById("words")?.textContent?.includes("compared with"));
      await settle(page);
      assert.match(await textOf(page, "#table thead"), /Before[\s\S]*After[\s\S]*Change/);
      await picture(page, `${kind}-difference-of-moments`);
      await page.click("#to-peak");
      await page.waitForFunction(() => document.getElementById("words")?.textContent?.includes("at the peak"));
      await page.click("#to-whole");
      await page.waitForFunction(() =>
        document.getElementById("words")?.textContent?.includes("memory allocated between 0 ms"),
      );
      await page.close();
    });

    test("turns around, folds, adds threads up, and an address and undo bring views back", async () => {
      const { page } = await open(browser, path);
      await page.click("#inverted");
      await settle(page);
      const inverted = await boxes(page);
      assert.equal(inverted[1].place, "leak.py:14");
      await picture(page, `${kind}-inverted`);
      await page.click("#threads");
      await page.click("#recursion");
      await page.click("#metric [data-value=allocated]");
      await page.click("#unit [data-value=blocks]");
      await settle(page);
      const address = await page.evaluate(() => location.hash);
      for (const part of ["inverted=true", "threads=together", "recursion=folded", "metric=allocated", "unit=blocks"]) {
        assert.ok(address.includes(part), address);
      }
      const words = await textOf(page, "#words");
      const again = await open(browser, path, address);
      assert.equal(await textOf(again.page, "#words"), words);
      await again.page.close();
      for (let count = 0; count < 5; count += 1) await page.click("#undo");
      await settle(page);
      assert.equal(await page.evaluate(() => location.hash), "");
      assert.equal((await boxes(page))[1].name.startsWith("thread"), true);
      await page.close();
    });

    test("folds and leaves out modules, and shows everything whole in one click", async () => {
      const { page } = await open(browser, path);
      const names = async (): Promise<string[]> => (await boxes(page)).map((box) => box.name);
      assert.ok(
        (await names()).some((name) => name.endsWith("(folded)")),
        "the standard library is folded at first",
      );
      await page.click("#legend .chip.all");
      await settle(page);
      assert.ok(!(await names()).some((name) => name.endsWith("(folded)")));
      assert.ok((await names()).includes("Thread.run"));
      await page.$$eval("#legend .chip", (chips) => {
        const chip = chips.find((found) => found.textContent?.includes("standard library")) as HTMLElement;
        chip.click();
      });
      await settle(page);
      await page.$$eval("#legend .chip", (chips) => {
        const chip = chips.find((found) => found.textContent?.includes("standard library")) as HTMLElement;
        chip.click();
      });
      await settle(page);
      const left = await names();
      assert.ok(!left.some((name) => name.includes("threading") || name === "Thread.run"));
      await page.close();
    });

    test("can be used with keys alone", async () => {
      const { page } = await open(browser, path);
      await page.keyboard.press("g");
      for (let count = 0; count < 4; count += 1) await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowUp");
      assert.match(await page.$eval("#spoken", (said) => said.textContent ?? ""), /With all below .* Of everything/);
      await page.keyboard.press("Enter");
      await settle(page);
      assert.match(await page.evaluate(() => location.hash), /zoom=n\d+/);
      await page.keyboard.press("p");
      assert.ok(await page.$eval("#tip", (tip) => tip.classList.contains("pinned")));
      await picture(page, `${kind}-pinned`);
      await page.keyboard.press("Escape");
      assert.ok(await page.$eval("#tip", (tip) => (tip as HTMLElement).hidden));
      await page.keyboard.press("0");
      await settle(page);
      await page.keyboard.press("i");
      await page.keyboard.press("2");
      await page.keyboard.press("/");
      await page.keyboard.type("nest");
      await page.waitForFunction(() => document.getElementById("matched")?.textContent?.includes("frame"));
      assert.match(await page.evaluate(() => location.hash), /metric=peak.*inverted=true.*search=nest/);
      await page.focus('.sliders input[aria-label="Range begins"]');
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      await page.waitForFunction(() => document.getElementById("words")?.textContent?.includes("between"));
      await page.close();
    });

    test("shows the source of a call site with figures, and no line that looks like a secret", async () => {
      const { page } = await open(browser, path);
      await page.click("#table tbody tr:first-child");
      await page.waitForSelector(".code .line.current");
      const source = await textOf(page, "#source");
      assert.match(source, /self\.history = \[bytes\(200\)/);
      assert.match(await textOf(page, ".line.current"), /MiB/);
      assert.match(source, /left out: this line looks like a secret/);
      assert.ok(!(await page.content()).includes("ghp_0123"));
      assert.match(
        await textOf(page, "#losses"),
        /1 line of source left out because they look like secrets: .*leak\.py:7/,
      );
      const link = await page.$eval("#source a.editor", (found) => (found as HTMLAnchorElement).href);
      assert.match(link, /^vscode:\/\/file\/.*leak\.py:14$/);
      await picture(page, `${kind}-source`);
      await page.close();
    });

    test("the table is sorted and filtered, and mirrors the graph for those who do not see it", async () => {
      const { page } = await open(browser, path);
      const first = (): Promise<string> => textOf(page, "#table tbody tr:first-child th");
      await page.evaluate(() => (document.querySelector("#table thead th:last-child button") as HTMLElement).click());
      await page.waitForFunction(() => location.hash.includes("sort=-growth"));
      assert.equal(
        await page.$eval("#table thead th:last-child", (head) => head.getAttribute("aria-sort")),
        "descending",
      );
      assert.match(await textOf(page, "#table tbody tr:first-child td:last-child"), /^\+.* ± /);
      await page.type("#filter", "nest");
      await page.waitForFunction(() => document.querySelectorAll("#table tbody tr").length < 6);
      assert.match(await first(), /nest/);
      await page.click("#tabs [data-value=graph]");
      await page.waitForFunction(() => document.querySelector("#table caption")?.textContent?.includes("graph"));
      assert.match(await textOf(page, "#table tbody tr:nth-child(2)"), /worker/);
      await page.evaluate(() => (document.querySelector("#table tbody tr:nth-child(2) button") as HTMLElement).click());
      await page.waitForFunction(() => location.hash.includes("zoom=n"));
      await picture(page, `${kind}-graph-as-table`);
      await page.close();
    });

    test("breaks no rule of accessibility, in light and dark, whatever is shown", async () => {
      for (const [name, dark, hash] of [
        ["light", false, ""],
        ["dark", true, ""],
        ["difference", false, "#range=[2,20]&compare=true"],
        ["dark-difference", true, "#range=[2,20]&compare=true"],
        ["graph", false, "#table=graph&search=nest&selected=3"],
      ] as [string, boolean, string][]) {
        const { page } = await open(browser, path, hash);
        await page.evaluate(
          (theme) => {
            document.documentElement.dataset.theme = theme;
          },
          dark ? "dark" : "light",
        );
        assert.deepEqual(await violations(page), [], name);
        await page.close();
      }
    });
  });
}
