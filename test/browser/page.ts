/** What runs in the page: GPU.js in one mode, told what to do in batches. */
import type { Gpu, GpuUsage, KernelText, Slot } from "../../core/gpu/gpu.ts";
import { openGpu } from "../../core/gpu/gpu-js.ts";
import type { Mode } from "../../core/gpu/modes.ts";
import { compiledKernels, type KernelListing } from "../../core/kernel-list.ts";

/** Numbers travel as text in base 64. Kernels are sent once and then named by their place in the order of sending. */
export type Command =
  | { readonly do: "kernel"; readonly kernel: KernelText }
  | { readonly do: "upload"; readonly to: Slot; readonly numbers: string }
  | {
      readonly do: "launch";
      readonly kernel: number;
      readonly to: Slot;
      readonly arrays: readonly Slot[];
      readonly params: readonly number[];
    }
  | { readonly do: "free"; readonly slot: Slot };

export interface Page {
  open(mode: Mode): Promise<string>;
  run(commands: readonly Command[]): GpuUsage;
  read(slot: Slot): Promise<{ readonly numbers: string; readonly usage: GpuUsage }>;
  /** What was compiled last. */
  lastKernel(): KernelListing | undefined;
  /** As a driver that is reset would. */
  loseContext(): void;
}

let gpu: Gpu;
const kernels: KernelText[] = [];

const page: Page = {
  async open(mode) {
    gpu = await openGpu(mode);
    return gpu.driver;
  },
  run(commands) {
    for (const command of commands) {
      if (command.do === "kernel") kernels.push(command.kernel);
      else if (command.do === "upload") gpu.upload(command.to, decode(command.numbers));
      else if (command.do === "free") gpu.free(command.slot);
      else gpu.launch(kernels[command.kernel], command.to, command.arrays, command.params);
    }
    return gpu.usage();
  },
  async read(slot) {
    const numbers = encode(await gpu.read(slot));
    return { numbers, usage: gpu.usage() };
  },
  lastKernel: () => compiledKernels().at(-1),
  loseContext() {
    const canvases = contexts.splice(0);
    for (const context of canvases) context.getExtension("WEBGL_lose_context")?.loseContext();
  },
};

/** Contexts that were made, so that a test can lose them. */
const contexts: WebGL2RenderingContext[] = [];
for (const type of [HTMLCanvasElement, OffscreenCanvas]) {
  const { getContext } = type.prototype;
  type.prototype.getContext = function (this: unknown, ...args: unknown[]) {
    const context = Reflect.apply(getContext, this, args);
    if (context instanceof WebGL2RenderingContext) contexts.push(context);
    return context;
  } as never;
}

function decode(text: string): Float32Array {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function encode(numbers: Float32Array): string {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

Object.assign(globalThis, { page });
