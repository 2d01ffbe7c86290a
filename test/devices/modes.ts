/** Suites that run once for each way to compute: here `gpu:webasm`, in vitest.browser.config.ts those of a browser. */
import { afterAll, beforeAll, describe, inject } from "vitest";
import { GpuDevice } from "../../core/gpu/device.ts";
import type { Gpu } from "../../core/gpu/gpu.ts";
import { openGpu } from "../../core/gpu/gpu-js.ts";
import type { Mode } from "../../core/gpu/modes.ts";
import type { BrowserAddress } from "../browser/remote.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** null when Chromium is not installed. */
    browser: BrowserAddress | null;
  }
}

/** The modes of GPU.js under test. */
export const MODES_UNDER_TEST = (process.env.NINA_GPU_MODES ?? "webasm").split(" ") as readonly Mode[];

/** Compiling hundreds of kernels: 10 ms each on webasm, more in a browser, far more on a busy machine. */
export const SLOW = { timeout: 180_000 };

const inBrowser = (mode: Mode): boolean => mode === "webgl2" || mode === "webgpu";

/** Why a mode cannot be tested, or null. */
export const missing = (mode: Mode): string | null =>
  inBrowser(mode) && !inject("browser") ? "Chromium is not installed" : null;

/** GPU.js in the given mode: in this process, or in a browser's page. */
export async function openMode(mode: Mode): Promise<Gpu> {
  const browser = inBrowser(mode) ? inject("browser") : null;
  if (!browser) return openGpu(mode);
  const { RemoteGpu } = await import("../browser/remote.ts");
  return RemoteGpu.open(mode, browser);
}

/** A suite for each mode; `gpu()` is open in its tests. Skipped modes tell why in their names. */
export function describeModes(what: string, suite: (gpu: () => Gpu, mode: Mode) => void): void {
  for (const mode of MODES_UNDER_TEST) {
    const why = missing(mode);
    describe.skipIf(why)(`${what} on gpu:${mode}${why ? ` (${why})` : ""}`, () => {
      let gpu: Gpu;
      beforeAll(async () => {
        gpu = await openMode(mode);
      });
      afterAll(() => gpu?.close());
      suite(() => gpu, mode);
    });
  }
}

/** The same for devices. */
export function describeDevices(what: string, suite: (device: () => GpuDevice, mode: Mode) => void): void {
  describeModes(what, (gpu, mode) => {
    let device: GpuDevice;
    beforeAll(() => {
      device = new GpuDevice(gpu());
    });
    suite(() => device, mode);
  });
}
