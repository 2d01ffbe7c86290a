import { findWebGpu, platformName } from "../platform/node.ts";
import type { GpuJsModule } from "./gpu-js.ts";

/** The ways in which GPU.js computes, the fastest first. What it calls "cpu" is none: our own kernels serve that. */
export const MODES = ["webgpu", "webgl2", "headlessgl", "webasm"] as const;
export type Mode = (typeof MODES)[number];

/** GPU.js's class for each mode. Minifiers change its name, not its identity. */
export const KERNEL_CLASSES = {
  webgpu: "WebGPUKernel",
  webgl2: "WebGL2Kernel",
  headlessgl: "HeadlessGLKernel",
  webasm: "WebAssemblyKernel",
} as const satisfies Record<Mode, string>;

/** Why a mode cannot be had on this machine, or null when nothing speaks against it. */
export function whyNot(mode: Mode, library: GpuJsModule): Promise<string | null> {
  return REASONS[mode](library);
}

const REASONS: Readonly<Record<Mode, (library: GpuJsModule) => Promise<string | null>>> = {
  async webgpu({ GPU }) {
    const missing = await findWebGpu();
    if (missing) return missing;
    if (await GPU.isWebGPUAvailable()) return null;
    return "WebGPU is here, but offers no adapter: is there a driver for Vulkan, Metal or Direct3D 12?";
  },
  async webgl2({ GPU }) {
    if (GPU.isWebGL2Supported) return null;
    return platformName === "Node" ? "WebGL 2 is for browsers" : "this browser offers no WebGL 2";
  },
  async headlessgl({ GPU }) {
    if (GPU.isHeadlessGLSupported) return null;
    if (platformName !== "Node") return "headless-gl is for Node";
    const missing = 'the optional package "gl" is not installed or makes no context, as without a display';
    return `${missing}; an installed nina-ts cannot use it`;
  },
  async webasm({ GPU }) {
    return GPU.isWebAssemblySupported ? null : "there is no WebAssembly here";
  },
};

/** Whether a driver's name says that it computes on the processor: for correctness, never for speed. */
export const isSoftware = (driver: string): boolean =>
  /swiftshader|llvmpipe|lavapipe|softpipe|software|WebAssembly/i.test(driver);
