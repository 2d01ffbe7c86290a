/** core, nn and flows in Chromium give the bits that they give in Node, with threads where the page may have them. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { build, type Rollup } from "vite";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { engineInfo } from "../../core/index.ts";
import type { CorePage } from "./core-page.ts";
import { coreWork } from "./core-work.ts";

declare const core: CorePage;

const browserAddress = inject("browser");

const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** A safetensors file of three numbers. */
function someFile(): Uint8Array {
  const header = JSON.stringify({ x: { dtype: "F32", shape: [3], data_offsets: [0, 12] } });
  const file = new Uint8Array(8 + header.length + 12);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(new TextEncoder().encode(header), 8);
  file.set(new Uint8Array(Float32Array.of(0.5, -2, 1e30).buffer), 8 + header.length);
  return file;
}

describe.skipIf(!browserAddress)(
  `core in Chromium${browserAddress ? "" : " (Chromium is not installed)"}`,
  () => {
    let browser: Browser;
    let server: Server;
    let context: BrowserContext;
    const complaints: string[] = [];

    beforeAll(async () => {
      const script = await bundle();
      server = createServer(({ url = "/" }, response) => {
        const isScript = url.endsWith("/page.js");
        response.setHeader("content-type", isScript ? "text/javascript" : "text/html; charset=utf-8");
        if (url.startsWith("/isolated/"))
          for (const [name, value] of Object.entries(ISOLATED)) response.setHeader(name, value);
        response.end(isScript ? script : '<!doctype html><script type="module" src="page.js"></script>');
      });
      await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
      browser = await chromium.connect(browserAddress!.endpoint);
    });
    afterAll(async () => {
      await browser.close();
      server.close();
    });
    afterEach(() => context.close());

    async function open(path: string, first = ""): Promise<Page> {
      context = await browser.newContext();
      await context.addInitScript(first);
      const tab = await context.newPage();
      complaints.splice(0);
      tab.on("console", (message) => complaints.push(message.text()));
      tab.on("pageerror", ({ message }) => complaints.push(message));
      await tab.goto(`http://localhost:${(server.address() as AddressInfo).port}/${path}`);
      return tab;
    }

    const work = (tab: Page, threads: number) =>
      tab.evaluate(
        async ([file, threads]) => {
          core.setThreads(threads);
          await new Promise((resolve) => setTimeout(resolve, 100)); // workers start meanwhile
          return core.coreWork(Uint8Array.from(file));
        },
        [[...someFile()], threads] as const,
      );

    async function expectBitsOfNode(tab: Page, threads: number): Promise<void> {
      const { fma } = await tab.evaluate(() => core.engineInfo());
      expect(fma).toBe(engineInfo().fma);
      expect(await work(tab, threads)).toEqual(coreWork(someFile()));
      expect(complaints).toEqual([]);
    }

    test("an isolated page has threads", async () => {
      const tab = await open("isolated/");
      await expectBitsOfNode(tab, 3);
      expect(await tab.evaluate(() => core.threads())).toBe(3);
      expect(tab.workers()).toHaveLength(2);
    });

    test("another page has one, and says why", async () => {
      const tab = await open("");
      await expectBitsOfNode(tab, 1);
      const refused = tab.evaluate(() => core.setThreads(2));
      await expect(refused).rejects.toThrow("setThreads: expected 1, got 2: threads share memory, which");
    });

    test("a browser that shares no memory computes in memory that does not grow", async () => {
      const tab = await open("", `(${refuseSharedMemory})()`);
      await expectBitsOfNode(tab, 1);
      expect(await tab.evaluate(() => core.heapUsage().total)).toBe(2 ** 30);
    });

    test("a path is one clear error", async () => {
      const tab = await open("");
      const refused = tab.evaluate(() => void core.openSafetensors("model.safetensors"));
      await expect(refused).rejects.toThrow(
        "model.safetensors: expected bytes, as in openSafetensors(bytesSource(name, fetchedBytes)), found a path",
      );
    });
  },
);

/** What Safari does to pages that are not isolated. */
function refuseSharedMemory(): void {
  const { Memory } = WebAssembly;
  WebAssembly.Memory = class extends Memory {
    constructor(limits: WebAssembly.MemoryDescriptor) {
      if (limits.shared) throw new TypeError("no shared memory");
      super(limits);
    }
  };
}

/** core-page.ts and all it imports as one script. */
async function bundle(): Promise<string> {
  const entry = fileURLToPath(new URL("core-page.ts", import.meta.url));
  const lib = { entry, formats: ["es" as const], fileName: () => "page.js" };
  const built = await build({ configFile: false, logLevel: "error", build: { write: false, lib } });
  const outputs = ([built].flat() as Rollup.RollupOutput[]).flatMap(({ output }) => output);
  const [page] = outputs.filter((part) => part.type === "chunk" && part.fileName === "page.js");
  return (page as Rollup.OutputChunk).code;
}
