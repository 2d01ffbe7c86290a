/** Looks at the pages of evaluations in a real browser; its pictures of them stay in out/pages. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { decode } from "fast-png";
import ndarray from "ndarray";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { episodePath } from "../../vla/eval/setup.ts";
import { VideoWriter } from "../../vla/eval/video.ts";
import type { Observation } from "../../vla/observation.ts";
import { Media } from "../../vla/report/media.ts";
import { reportPage } from "../../vla/report/page.ts";
import { readRunFolder } from "../../vla/report/run-folder.ts";
import { writeReport } from "../../vla/report/write-report.ts";
import { Live } from "../../vla/watch/live.ts";
import { WatchServer } from "../../vla/watch/server.ts";
import { someLine, someManifest } from "../vla/report/some-run.ts";

const PICTURES = fileURLToPath(new URL("../../out/pages", import.meta.url));
/** What a task could be called by somebody who wants the reader's browser. */
const HOSTILE = `put <img src=x onerror="document.title='taken'"> 'down'`;
const PHONE = 390;

/** 32 by 32 pixels in one colour. */
function seen(red: number, blue: number): Observation {
  const image = (colour: readonly number[]) =>
    ndarray(
      Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => colour[i % 3]),
      [32, 32, 3],
    );
  return {
    agentview_image: image([red, 60, 60]),
    robot0_eye_in_hand_image: image([60, 60, blue]),
  } as unknown as Observation;
}

const browserAddress = inject("browser");

describe.skipIf(!browserAddress)(
  `pages in Chromium${browserAddress ? "" : " (Chromium is not installed)"}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), "nina-pages-"));
    let browser: Browser;
    let tab: Page;
    /** What the browser complained about, and what it asked for. */
    const [complaints, requests]: [string[], string[]] = [[], []];

    beforeAll(async () => {
      browser = await chromium.connect(browserAddress!.endpoint);
      mkdirSync(PICTURES, { recursive: true });
      writeFileSync(join(folder, "manifest.json"), JSON.stringify(someManifest(HOSTILE, 1, 3)));
      const outcomes = ["success", "failure", "error"] as const;
      const lines = outcomes.map((outcome, init) => someLine(HOSTILE, 0, init, outcome));
      writeFileSync(join(folder, "episodes.jsonl"), lines.map((line) => JSON.stringify(line)).join("\n"));
      const path = episodePath({ task: lines[1].task, init: 1 });
      const video = await VideoWriter.open(join(folder, "videos", `${path}.webp`));
      for (let step = 0; step < 4; step++) await video.write(seen(60 * step, 250 - 60 * step));
      video.finish();
    });
    afterAll(async () => {
      rmSync(folder, { recursive: true });
      await browser.close();
    });
    afterEach(() => tab.close());

    async function open(url: string, width: number, colorScheme: "light" | "dark"): Promise<void> {
      tab = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
      complaints.splice(0);
      requests.splice(0);
      tab.on("console", (message) => complaints.push(message.text()));
      tab.on("pageerror", ({ message }) => complaints.push(message));
      tab.on("request", (request) => requests.push(request.url()));
      await tab.goto(url);
    }

    /** Takes a picture and sees whether there is anything on it. */
    async function picture(name: string): Promise<void> {
      const path = join(PICTURES, `${name}.png`);
      await tab.screenshot({ path, fullPage: true });
      const { data } = decode(readFileSync(path));
      expect(new Set(data.subarray(0, 200_000)).size).toBeGreaterThan(20);
    }

    /**
     * Widths of the decoded pictures in a part of the page. Those that are out of sight would be loaded when they come
     * into it.
     */
    const widths = (part: string): Promise<number[]> =>
      tab.locator(`${part} img`).evaluateAll((images) =>
        Promise.all(
          (images as HTMLImageElement[]).map(async (image) => {
            image.loading = "eager";
            await image.decode();
            return image.naturalWidth;
          }),
        ),
      );

    test.each([
      ["light", 1100],
      ["dark", PHONE],
    ] as const)("a report in %s, %i pixels wide", async (scheme, width) => {
      const page = join(folder, "report.html");
      writeReport(folder, page);
      await open(pathToFileURL(page).href, width, scheme);
      expect(await tab.textContent("h1")).toBe(`${HOSTILE} on ${HOSTILE}`);
      expect(await tab.title()).toBe(`${HOSTILE} on ${HOSTILE}`);
      expect(await tab.locator(".outcome").allTextContents()).toEqual(["error", "failure", "success"]);
      expect(await widths(".sheet")).toEqual([64, 64, 64, 64]);
      await tab.click("details summary");
      expect(await widths("details")).toEqual([64]);
      // Only what may scroll by itself is wider than the screen.
      expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
      expect(complaints).toEqual([]);
      expect(requests.filter((url) => !/^(file|data):/.test(url))).toEqual([]);
      await picture(`report-${scheme}`);
    });

    test("pictures beside a report are found", async () => {
      const page = join(folder, "linked.html");
      writeFileSync(page, reportPage(readRunFolder(folder), new Media(folder, page, 0)));
      await open(pathToFileURL(page).href, 1100, "light");
      await tab.click("details summary");
      expect(await tab.getAttribute("details img", "src")).toMatch(/^videos\/put%20/);
      expect(await widths("details")).toEqual([64]);
      expect(complaints).toEqual([]);
    });

    test("a run that is watched", async () => {
      const counts = { done: 1, planned: 3, table: "the table <so far>" };
      const live = new Live(HOSTILE, 300, counts);
      const server = await WatchServer.open(live, 0);
      try {
        const policy = live.follow("task 0", { name: "still", reset() {}, act: () => ({ actions: [] }) });
        await policy.act(seen(200, 100), "do");
        await open(server.url, PHONE, "light");
        await tab.waitForSelector("text=the table <so far>");
        expect(await tab.textContent("h1")).toBe(HOSTILE);
        expect(await widths("article")).toEqual([32, 32]);
        live.stepped("task 0", 17);
        await tab.waitForSelector("text=step 17 of at most 300");
        await picture("watch");
        expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(PHONE);
      } finally {
        await server[Symbol.asyncDispose]();
      }
      await tab.waitForSelector("text=The run is over.");
      expect(complaints).toEqual([]);
    });
  },
);
