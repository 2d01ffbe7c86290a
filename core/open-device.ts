import { cpu } from "./cpu/device.ts";
import type { Device } from "./device.ts";
import { GpuDevice } from "./gpu/device.ts";
import { listModes, openGpu } from "./gpu/gpu-js.ts";
import { MODES, type Mode } from "./gpu/modes.ts";

/** What `openDevice` takes. */
export const DEVICE_NAMES: readonly string[] = ["cpu", "gpu", ...MODES.map((mode) => `gpu:${mode}`)];

/**
 * The device of that name: "cpu", a mode of GPU.js such as "gpu:webasm", or "gpu", the first of its modes that this
 * machine offers. Throws, with the reason, when it is not available: nothing else is taken in its place.
 */
export async function openDevice(name: string): Promise<Device> {
  if (name === "cpu") return cpu;
  const mode = name === "gpu" ? await firstMode() : MODES.find((mode) => name === `gpu:${mode}`);
  if (!mode) throw new Error(`openDevice: expected one of ${DEVICE_NAMES.join(", ")}, got ${name}`);
  return new GpuDevice(await openGpu(mode));
}

async function firstMode(): Promise<Mode> {
  const found = await listModes();
  const reasons: string[] = [];
  for (const each of found) {
    if ("driver" in each) return each.mode;
    reasons.push(`gpu:${each.mode}: ${each.reason}`);
  }
  throw new Error(`openDevice: this machine offers no mode of GPU.js:\n${reasons.join("\n")}`);
}
