import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { encode } from "fast-png";
import { afterAll, describe, expect, vi } from "vitest";
import { UNTIMED } from "../../../vla/eval/results.ts";
import { Media } from "../../../vla/report/media.ts";
import { reportPage } from "../../../vla/report/page.ts";
import type { RunFolder } from "../../../vla/report/run-folder.ts";
import { tryReport, writeReport } from "../../../vla/report/write-report.ts";
import { animate } from "../../../vla/webp/animation.ts";
import { someLine, someManifest } from "./some-run.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-report-"));
afterAll(() => rmSync(folder, { recursive: true }));

const nothing = { of: () => ({ moments: [], video: null }) };

/** A success, a failure and an error of one task. */
function someRun(text: string): RunFolder {
  const episodes = (["success", "failure", "error"] as const).map((outcome, init) => {
    const { actions: _, ...line } = someLine(text, 0, init, outcome);
    return { ...line, ...UNTIMED, perturb: undefined };
  });
  return { folder, manifest: someManifest(text, 1, 4), episodes };
}

/** The names of a page's tags and attributes in their order: what a browser takes for markup. */
const markup = (page: string): string[] =>
  [...page.matchAll(/<[^>]*>/g)].map(([tag]) => tag.replace(/"[^"]*"/g, '""'));

describe("reportPage", () => {
  const expected = markup(reportPage(someRun("x"), nothing));

  test.prop([
    fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("<img src=x onerror=alert(1)>", '"><b a="')),
  ])("has the same markup whatever is said in a run", (text) => {
    expect(markup(reportPage(someRun(text), nothing))).toEqual(expected);
  });

  test("tells what was run and what is missing, errors and failures first", () => {
    const page = reportPage(someRun("x"), nothing);
    expect(page).toContain("<strong>1 of 2</strong> episodes succeeded: 50.0 [9.5, 90.5] %");
    expect(page).toContain("The run is not complete: 3 of 4 episodes are there.");
    expect(page).toContain("Episodes that ended in an error, and are in no rate: 1.");
    expect(page).toContain("No pictures were kept: a run with --video keeps them.");
    expect([...page.matchAll(/<span class="outcome (\w+)">/g)].map(([, outcome]) => outcome)).toEqual([
      "error",
      "failure",
      "success",
    ]);
  });

  test("stays small with 5,000 episodes: those behind the first 500 are only named", () => {
    const [{ manifest }, episodes] = [
      someRun("x"),
      Array.from({ length: 5000 }, (_, init) => ({
        ...someRun("x").episodes[0],
        init,
        outcome: init === 4999 ? ("failure" as const) : ("success" as const),
      })),
    ];
    const page = reportPage({ folder, manifest: { ...manifest, episodes: 5000 }, episodes }, nothing);
    expect(page.length).toBeLessThan(2e6);
    expect(page.match(/<article/g)).toHaveLength(500);
    expect(page).toMatch(/<article id="x0\/4999">/);
    expect(page).toContain("4500 more, without pictures and time lines");
  });
});

describe("writeReport", () => {
  test("holds pictures as far as there is room, and links the others as seen from the page", () => {
    const run = someRun("a b%");
    const png = encode({ width: 2, height: 1, data: new Uint8Array(6), channels: 3, depth: 8 });
    const frames = join(folder, "frames", run.episodes[0].task, "init_00");
    mkdirSync(frames, { recursive: true });
    for (let step = 0; step < 20; step++)
      for (const camera of ["agentview", "eye_in_hand"])
        writeFileSync(join(frames, `${camera}_${String(step).padStart(4, "0")}.png`), png);
    writeFileSync(join(frames, "agentview_0000.png"), "no picture at all");
    const media = new Media(folder, join(folder, "pages", "report.html"), 3 * png.length);
    const { moments } = media.of(run.episodes[0]);
    expect(moments.map(({ step }) => step)).toEqual([0, 3, 5, 8, 11, 14, 16, 19]);
    expect(moments.map(({ sources }) => sources.length)).toEqual([1, 2, 2, 2, 2, 2, 2, 2]);
    const sources = moments.flatMap(({ sources }) => sources.map(({ text }) => text));
    const data = `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
    expect(sources.slice(0, 3)).toEqual([data, data, data]);
    expect(sources[3]).toBe("../frames/a%20b%250/init_00/agentview_0005.png");
  });

  test("takes the pictures of an episode out of its video", () => {
    const run = someRun("v");
    const videos = join(folder, "videos", run.episodes[0].task);
    mkdirSync(videos, { recursive: true });
    const still = Buffer.from("524946460e000000574542505650382002000000abcd", "hex");
    const file = animate(
      Array.from({ length: 15 }, () => ({ file: still, ms: 50 })),
      4,
      2,
    );
    writeFileSync(join(videos, "init_00.webp"), file);
    const room = 8 * still.length;
    const page = join(folder, "report.html");
    const { moments, video } = new Media(folder, page, room).of(run.episodes[0]);
    expect(moments.map(({ step }) => step)).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
    const data = `data:image/webp;base64,${still.toString("base64")}`;
    expect(moments.map(({ sources }) => sources.map(({ text }) => text))).toEqual(moments.map(() => [data]));
    expect(video?.text).toBe("videos/v0/init_00.webp");
    const whole = new Media(folder, page, room + file.length).of(run.episodes[0]).video;
    expect(whole?.text).toBe(`data:image/webp;base64,${Buffer.from(file).toString("base64")}`);
  });

  test.each(["..", "../..", "a/../../b", "\0"])(
    "looks for pictures in the run's folder alone: %j",
    (task) => {
      mkdirSync(join(folder, "inner", "frames"), { recursive: true });
      const media = new Media(join(folder, "inner"), join(folder, "report.html"), 1e6);
      mkdirSync(join(folder, "init_00"), { recursive: true });
      expect(media.of({ task, init: 0 })).toEqual({ moments: [], video: null });
    },
  );

  test("at the end of a run only says that it cannot be written", () => {
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    tryReport(join(folder, "absent"));
    expect(said.mock.calls).toEqual([
      [expect.stringMatching(/^no report: .*absent\/manifest\.json: expected/)],
    ]);
    said.mockRestore();
  });

  test("refuses what is no run", () => {
    expect(() => writeReport(join(folder, "absent"), join(folder, "r.html"))).toThrow(
      "expected the manifest of a run",
    );
  });
});
