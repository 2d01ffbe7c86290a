import { type Browser, chromium, type Page as Tab } from "playwright-core";
import { type Gpu, type GpuUsage, type KernelText, NO_USAGE, type Slot } from "../../core/gpu/gpu.ts";
import type { Mode } from "../../core/gpu/modes.ts";
import type { KernelListing } from "../../core/kernel-list.ts";
import type { Command, Page } from "./page.ts";

declare const page: Page;

/** What the browser's set-up (setup.ts) hands to test files. */
export interface BrowserAddress {
  /** Of the browser. */
  readonly endpoint: string;
  /** Of the page that runs page.ts. */
  readonly url: string;
}

/** At this many commands a batch is sent, without waiting for a read. */
const BATCH = 500;

/** GPU.js in a page of a real browser, used from here. */
export class RemoteGpu implements Gpu {
  readonly mode: Mode;
  readonly driver: string;
  readonly #browser: Browser;
  readonly #tab: Tab;
  readonly #kernels = new Map<KernelText, number>();
  #batch: Command[] = [];
  #sent: Promise<void> = Promise.resolve();
  #failure: Error | null = null;
  #usage = NO_USAGE;

  private constructor(mode: Mode, driver: string, browser: Browser, tab: Tab) {
    this.mode = mode;
    this.driver = driver;
    this.#browser = browser;
    this.#tab = tab;
  }

  static async open(mode: Mode, { endpoint, url }: BrowserAddress): Promise<RemoteGpu> {
    const browser = await chromium.connect(endpoint);
    const tab = await browser.newPage();
    await tab.goto(url);
    const driver = await tab.evaluate((mode) => page.open(mode), mode);
    return new RemoteGpu(mode, driver, browser, tab);
  }

  upload(to: Slot, numbers: Float32Array): void {
    const bytes = Buffer.from(numbers.slice().buffer);
    this.#add({ do: "upload", to, numbers: bytes.toString("base64") });
  }

  launch(kernel: KernelText, to: Slot, arrays: readonly Slot[], params: readonly number[]): void {
    let place = this.#kernels.get(kernel);
    if (place === undefined) {
      place = this.#kernels.size;
      this.#kernels.set(kernel, place);
      this.#add({ do: "kernel", kernel });
    }
    this.#add({ do: "launch", kernel: place, to, arrays: [...arrays], params: [...params] });
  }

  free(slot: Slot): void {
    this.#add({ do: "free", slot });
  }

  async read(slot: Slot): Promise<Float32Array> {
    this.#send();
    await this.#sent;
    if (this.#failure) throw this.#failure;
    const { numbers, usage } = await this.#evaluate(() =>
      this.#tab.evaluate((slot) => page.read(slot), slot),
    );
    this.#usage = usage;
    return new Float32Array(Uint8Array.from(Buffer.from(numbers, "base64")).buffer);
  }

  /** As of the last read. */
  usage(): GpuUsage {
    return this.#usage;
  }

  /** What was compiled last, as of the last read. */
  lastKernel(): Promise<KernelListing | undefined> {
    return this.#tab.evaluate(() => page.lastKernel());
  }

  /** Makes the browser lose its WebGL contexts. */
  async loseContext(): Promise<void> {
    await this.#sent;
    await this.#tab.evaluate(() => page.loseContext());
  }

  async close(): Promise<void> {
    await this.#sent;
    await this.#browser.close();
  }

  #add(command: Command): void {
    if (this.#failure) throw this.#failure;
    this.#batch.push(command);
    if (this.#batch.length >= BATCH) this.#send();
  }

  #send(): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#sent = this.#sent.then(async () => {
      if (this.#failure || batch.length === 0) return;
      try {
        this.#usage = await this.#evaluate(() => this.#tab.evaluate((batch) => page.run(batch), batch));
      } catch (error) {
        this.#failure = error as Error;
      }
    });
  }

  /** Errors of the page come back without the words around them. */
  async #evaluate<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw new Error((error as Error).message.replace(/^.*?Error: /s, ""));
    }
  }
}
