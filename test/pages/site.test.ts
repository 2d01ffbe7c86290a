/** The pages of `site` in a real browser; pictures of them stay in out/pages. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { engineInfo } from "../../core/index.ts";
import { buildSite, serveFolder } from "../browser/site.ts";

const PICTURES = fileURLToPath(new URL("../../out/pages", import.meta.url));
const PHONE = 390;
/** What a page may take to load its weights and to open a scene, on a busy machine. */
const OPENING = 120_000;

/** The shorter one of the recorded episodes. */
const [{ task, steps, trajectoryHash }]: readonly {
  readonly task: string;
  readonly steps: number;
  readonly trajectoryHash: string;
}[] = JSON.parse(readFileSync(new URL("../fixtures/mini-policy.json", import.meta.url), "utf8")).episodes;

const browserAddress = inject("browser");

describe.skipIf(!browserAddress)(`the site${browserAddress ? "" : " (Chromium is not installed)"}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "nina-site-"));
  let browser: Browser;
  let tab: Page;
  const [complaints, requests]: [string[], string[]] = [[], []];
  const servers: Awaited<ReturnType<typeof serveFolder>>[] = [];

  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true });
    browser = await chromium.connect(browserAddress!.endpoint);
    await buildSite(folder);
  }, 300_000);
  afterAll(async () => {
    for (const server of servers) server.close();
    await browser.close();
    rmSync(folder, { recursive: true });
  });
  afterEach(() => tab.close());

  async function open(
    page: string,
    isolated: boolean,
    width: number,
    colorScheme: "light" | "dark",
  ): Promise<void> {
    const server = await serveFolder(folder, { isolated });
    servers.push(server);
    tab = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    complaints.splice(0);
    requests.splice(0);
    tab.on("console", (message) => complaints.push(message.text()));
    tab.on("pageerror", ({ message }) => complaints.push(message));
    tab.on("request", (request) => requests.push(request.url()));
    await tab.goto(`${server.url}${page}`);
    expect(await tab.evaluate(() => self.crossOriginIsolated)).toBe(isolated);
  }

  const ready = () => tab.waitForSelector("#play:enabled", { timeout: OPENING });
  const picture = (name: string) => tab.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  /** Where the red block's middle is on the picture, 0 to 1 from the left and from the top. */
  const redBlock = () =>
    tab.locator("#agentview").evaluate((canvas) => {
      const { width, height } = canvas as HTMLCanvasElement;
      const copy = new OffscreenCanvas(width, height).getContext("2d")!;
      copy.drawImage(canvas as HTMLCanvasElement, 0, 0);
      const { data } = copy.getImageData(0, 0, width, height);
      const red = Array.from({ length: width * height }, (_, i) => i).filter(
        (i) => data[4 * i] > 110 && data[4 * i + 1] < 50 && data[4 * i + 2] < 50,
      );
      const mean = (of: (i: number) => number) => red.reduce((sum, i) => sum + of(i), 0) / red.length;
      return [mean((i) => i % width) / width, mean((i) => Math.floor(i / width)) / height];
    });
  /** Of each law, in order: whether it holds. */
  const laws = async () => {
    await tab.waitForSelector("#laws:not(.stale) tr");
    return tab.locator("#laws .badge").allTextContents();
  };
  /** The numbers behind a name, at the point. */
  const read = async (name: string): Promise<number[]> => {
    const text = await tab.locator(`#reading dt:has-text("${name}") + dd`).textContent();
    return Array.from(text!.matchAll(/-?[\d.]+/g), Number);
  };
  const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(a[0] - b[0], a[1] - b[1]);

  // Another rounding of products, or another order of sums, and the arm soon takes another way.
  test.skipIf(process.arch !== "x64" || !engineInfo().fma)(
    "the robot succeeds on the way it takes in Node",
    async () => {
      await open("robot.html", true, 1100, "light");
      await ready();
      await tab.selectOption("#task", task);
      await ready();
      await tab.uncheck("#paced");
      await tab.click("#play");
      await tab.waitForSelector("#status code", { timeout: OPENING });
      expect(await tab.textContent("#status")).toContain(`success after ${steps} steps`);
      expect(await tab.textContent("#status code")).toBe(trajectoryHash);
      expect(await tab.locator("#goal .holds").count()).toBe(1);

      // Ten actions a chunk, each with its likelihood; the newest one is opened.
      expect(await tab.textContent("#strip")).toContain(
        `chunk ${Math.ceil(steps / 10)} of ${Math.ceil(steps / 10)}`,
      );
      expect(await tab.textContent("#layer-name")).toMatch(/^after 30 of 30 layers: Permutation/);
      const drawn = () => tab.locator("#curves .own").first().getAttribute("d");
      const chunk = await drawn();
      await tab.fill("#layer", "0");
      expect(await tab.textContent("#layer-name")).toContain("noise");
      expect(await drawn()).not.toBe(chunk);
      await picture("robot");
      expect(complaints).toEqual([]);
      const origin = new URL(tab.url()).origin;
      expect(requests.filter((url) => !url.startsWith(origin) && !url.startsWith("blob:"))).toEqual([]);
    },
  );

  test("the robot on one thread, with keys and mouse", async () => {
    await open("robot.html", false, PHONE, "dark");
    await ready();
    expect(await tab.textContent("#engine")).toContain("1 thread (more where the page is isolated)");
    const untouched = await redBlock();
    await tab.focus("#agentview");
    for (let i = 0; i < 5; i++) await tab.keyboard.press("ArrowDown");
    await expect.poll(async () => (await redBlock())[1]).toBeGreaterThan(untouched[1] + 0.03);

    // A block goes where the mouse takes it, give or take what the hand sees of its sides.
    const box = (await tab.locator("#agentview").boundingBox())!;
    const [x, y] = await redBlock();
    const to = [x + 0.15, y + 0.1];
    await tab.mouse.move(box.x + x * box.width, box.y + y * box.height);
    await tab.mouse.down();
    await tab.waitForSelector("#agentview.holding");
    expect(await tab.inputValue("#object")).toBe("red_block_1");
    await tab.mouse.move(box.x + to[0] * box.width, box.y + to[1] * box.height, { steps: 3 });
    await tab.mouse.up();
    await expect.poll(async () => distance(await redBlock(), to)).toBeLessThan(0.02);

    await tab.fill("#words", "push the drawer shut");
    await tab.click("#step");
    await tab.waitForSelector("text=step 1 of at most");
    expect(await tab.textContent("#strip")).toContain("told “push the drawer shut”");
    await tab.focus("#agentview");
    await tab.keyboard.press("Space");
    expect(await tab.textContent("#play")).toBe("Pause");
    await tab.waitForSelector("text=step 3 of at most");
    await tab.keyboard.press("Space");
    expect(await tab.textContent("#play")).toBe("Play");
    expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(PHONE);
    await picture("robot-phone");
    expect(complaints).toEqual([]);
  });

  test("a block is dragged while the robot moves, and the episode says so", async () => {
    await open("robot.html", true, 1100, "light");
    await ready();
    const stepNow = async () => Number((await tab.textContent("#steps"))!.match(/\d+/)![0]);
    await tab.click("#play");
    await expect.poll(stepNow).toBeGreaterThan(2);
    const box = (await tab.locator("#agentview").boundingBox())!;
    const [x, y] = await redBlock();
    const to = [x + 0.1, y + 0.1];
    await tab.mouse.move(box.x + x * box.width, box.y + y * box.height);
    await tab.mouse.down();
    await tab.waitForSelector("#agentview.holding");
    const grabbed = await stepNow();
    await tab.mouse.move(box.x + to[0] * box.width, box.y + to[1] * box.height, { steps: 3 });
    await expect.poll(async () => distance(await redBlock(), to)).toBeLessThan(0.02);
    // It stays in the hand while the robot goes on, whose arm may hide it for a moment.
    await expect.poll(stepNow).toBeGreaterThan(grabbed + 2);
    await expect.poll(async () => distance(await redBlock(), to)).toBeLessThan(0.02);
    expect(await tab.textContent("#play")).toBe("Pause");
    await tab.mouse.up();
    await tab.uncheck("#paced");
    await tab.waitForSelector("#status code", { timeout: OPENING });
    expect(await tab.textContent("#status")).toContain("somebody had a hand in it");
    expect(complaints).toEqual([]);
  });

  test("a GPU computes the policy in place of the processor, and hands it back", async () => {
    await open("robot.html", true, 1100, "light");
    await ready();
    await tab.waitForSelector("#devices:not([hidden])", { timeout: OPENING });
    const gpus = await tab.locator("#device option:not([value=cpu])").allTextContents();
    expect(gpus.join()).toContain("webgl2");
    /** What the strip says of the first chunk, whose likelihood it gives with one digit. */
    const firstChunk = async (): Promise<string> => {
      await tab.click("#step");
      await tab.waitForSelector("text=step 1 of at most", { timeout: OPENING });
      return (await tab.textContent("#strip .range"))!;
    };
    const compute = async (device: string): Promise<void> => {
      await tab.selectOption("#device", device);
      await tab.waitForSelector("text=No chunk yet");
      await ready();
    };
    const nats = (told: string) => Number(told.match(/(-?[\d.]+) nats/)![1]);
    const onProcessor = await firstChunk();
    await compute("gpu:webgl2");
    // A GPU sums in another order, which shows in the last digits.
    expect(nats(await firstChunk())).toBeCloseTo(nats(onProcessor), 0);
    await compute("cpu");
    expect(await firstChunk()).toBe(onProcessor);
    expect(complaints).toEqual([]);
  }, 300_000); // a software driver compiles every kernel of encoder and flow

  test("a flow is shaped, and the laws hold unless a layer lies", async () => {
    await open("flow.html", true, 1100, "light");
    expect(await laws()).toEqual(Array(7).fill("holds"));
    await picture("flow");

    // The scale of its first layer, at the keyboard.
    const before = await read("log p(x)");
    await tab.focus('input[aria-label="layer 1, AffineCoupling: scale a"]');
    for (let i = 0; i < 10; i++) await tab.keyboard.press("ArrowRight");
    await expect.poll(() => read("log p(x)")).not.toEqual(before);
    expect(await laws()).toEqual(Array(7).fill("holds"));

    await tab.selectOption("#example", "a lie");
    await tab.waitForSelector("text=A layer that lies >> nth=1");
    await expect.poll(async () => (await laws()).filter((word) => word === "fails").length).toBe(3);
    await tab.click('[aria-label="layer 2, A layer that lies: remove"]');
    await expect.poll(laws).toEqual(Array(7).fill("holds"));
    await tab.selectOption("#kind", "plu");
    await tab.click("#add");
    expect(await tab.locator("#layers > li").count()).toBe(2);
    // Where no noise is there is paper: colours are read as the built page spells them.
    const corner = await tab.locator("#noise").evaluate((canvas) => {
      const context = (canvas as HTMLCanvasElement).getContext("2d")!;
      return [...context.getImageData(0, 0, 1, 1).data];
    });
    expect(corner).toEqual([255, 255, 255, 255]);
    expect(complaints).toEqual([]);
  });

  test("the point is dragged in data and in noise, and goes with the keys", async () => {
    await open("flow.html", false, PHONE, "dark");
    await laws();
    await tab.locator("#data").click();
    await expect.poll(async () => distance(await read("x, data"), [0, 0])).toBeLessThan(0.05);
    await tab.focus("#data");
    await tab.keyboard.press("ArrowLeft");
    await expect.poll(async () => distance(await read("x, data"), [-0.1, 0])).toBeLessThan(0.05);
    await tab.locator("#noise").click();
    await expect.poll(async () => distance(await read("noise"), [0, 0])).toBeLessThan(0.05);
    // As the layers say, and as the Jacobian does.
    const [a, b, c, d] = await read("J = ");
    const [logDet] = await read("log |det J|, as");
    expect(Math.log(Math.abs(a * d - b * c))).toBeCloseTo(logDet, 1); // shown with three digits
    expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(PHONE);
    await picture("flow-phone");
    expect(complaints).toEqual([]);
  });

  test("the first page leads to the others", async () => {
    await open("index.html", false, 1100, "light");
    await tab.click("text=A flow to shape");
    await tab.waitForSelector("#laws tr");
    await tab.click("nav >> text=A robot in a tab");
    await ready();
    expect(complaints).toEqual([]);
  });
});
