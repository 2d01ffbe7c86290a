/**
 * GPU.js, loaded when the first mode is asked for. The package carries its build for browsers inside of this module,
 * which runs in Node as well: GPU.js asks whoever installs it for native packages of 84 MB.
 */
import * as loaded from "gpu.js";
import type { GpuJsModule } from "./gpu-js.ts";

const either = loaded as unknown as GpuJsModule & { readonly default?: GpuJsModule };

/** What the library exports; loaders differ in where they put that. */
export const library: GpuJsModule = either.GPU ? either : (either.default as GpuJsModule);
