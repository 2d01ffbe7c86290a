/**
 * Looks for GPUs in a worker of its own, since drivers take their time: tells those that open and compute a product
 * rightly.
 */
import { GpuDevice, openDevice } from "../../core/index.ts";
import type { FoundDevice } from "./messages.ts";

const found: FoundDevice[] = [];
for (const name of ["gpu:webgpu", "gpu:webgl2"]) {
  try {
    const device = await openDevice(name);
    if (device instanceof GpuDevice)
      found.push({ name, driver: `${name.replace("gpu:", "")}: ${device.driver}` });
  } catch {} // a browser without it offers one choice less
}
self.postMessage(found);
