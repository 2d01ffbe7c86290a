import { type KernelListing, listKernel } from "../kernel-list.ts";
import { type Gpu, type GpuUsage, type KernelText, NO_USAGE, type Slot } from "./gpu.ts";
import { KERNEL_CLASSES, MODES, type Mode, whyNot } from "./modes.ts";

/**
 * GPU.js behind one typed door. The library fails silently in several ways; this is what is done about each:
 *
 * - It falls back to plain JavaScript with a warning → the class of every kernel is checked after its first call.
 * - It cuts loops at 1000 turns → kernels have their bounds written into them, and `loopMaxIterations` is 2²⁴.
 * - Results of one kernel share their memory → `immutable`.
 * - GLSL gets low precision, and integers a division of their own → `tactic: "precision"`, no correction of theirs.
 * - After a lost context WebGL gives zeros → asked after every readback.
 * - WebGPU prints its errors to the console → they reject the next readback.
 * - Results on a GPU live until they are deleted → slots, freed by their owner.
 */

/** The parts of the library that are used here, as it exports them. */
export interface GpuJsModule {
  readonly GPU: GpuConstructor;
  readonly WebGPUKernel: unknown;
  readonly WebGL2Kernel: unknown;
  readonly HeadlessGLKernel: unknown;
  readonly WebAssemblyKernel: unknown;
}

interface GpuConstructor {
  new (settings: { readonly mode: Mode }): GpuInstance;
  readonly isHeadlessGLSupported: boolean;
  readonly isWebGL2Supported: boolean;
  readonly isWebAssemblySupported: boolean;
  isWebGPUAvailable(): Promise<boolean>;
}

interface GpuInstance {
  createKernel(source: string, settings: object): Shortcut;
  destroy(): Promise<void>;
}

/** A compiled kernel; the object behind it tells what really ran. */
interface Shortcut {
  (...args: readonly unknown[]): Handle | Promise<Handle>;
  readonly kernel: {
    readonly constructor: unknown;
    readonly fallbackReason: string | null;
    /** A WebGL context, or WebGPU's adapter and device; null without either. */
    readonly context: Context | null;
    /** The GLSL that WebGL is given, the WGSL that WebGPU is given. */
    readonly compiledFragmentShader?: string;
    readonly compiledSource?: string;
  };
}

interface Context {
  isContextLost?(): boolean;
  getParameter?(name: number): unknown;
  getExtension?(name: string): { readonly UNMASKED_RENDERER_WEBGL: number } | null;
  readonly RENDERER?: number;
  readonly adapter?: { readonly info: Readonly<Record<string, unknown>> };
  readonly device?: { onuncapturederror: ((event: { readonly error: Error }) => void) | null };
}

/** What a kernel returns: a texture, a buffer, or (webasm) the numbers themselves. */
type Handle = Float32Array | { toArray(): Float32Array | Promise<Float32Array>; delete(): void };

const SETTINGS = {
  pipeline: true,
  immutable: true,
  precision: "single",
  tactic: "precision",
  fixIntegerDivisionAccuracy: false,
  loopMaxIterations: 2 ** 24,
} as const;

async function loadLibrary(): Promise<GpuJsModule> {
  const { library } = await import("./library.ts");
  return library;
}

/** A mode of this machine: what drives it, or why it is not available. */
export type FoundMode =
  | { readonly mode: Mode; readonly driver: string }
  | { readonly mode: Mode; readonly reason: string };

/** Opens every mode in turn to see what this machine offers. */
export async function listModes(): Promise<FoundMode[]> {
  const found: FoundMode[] = [];
  for (const mode of MODES) {
    try {
      const gpu = await openGpu(mode);
      found.push({ mode, driver: gpu.driver });
      await gpu.close();
    } catch (error) {
      found.push({ mode, reason: (error as Error).message.replace(`gpu:${mode}: `, "") });
    }
  }
  return found;
}

/** Opens GPU.js in the given mode. Throws, with the reason, where it is not available or computes a wrong product. */
export async function openGpu(mode: Mode): Promise<Gpu> {
  const library = await loadLibrary();
  const reason = await whyNot(mode, library);
  if (reason) throw new Error(`gpu:${mode}: ${reason}`);
  const gpu = new GpuJs(mode, library);
  try {
    await probe(gpu);
  } catch (error) {
    await gpu.close();
    throw error;
  }
  return gpu;
}

const PROBE: KernelText = {
  name: "probe",
  source: `function (a, b) {
    const i = Math.floor(this.thread.x / 2);
    const j = this.thread.x - 2 * i;
    let s = 0;
    for (let k = 0; k < 3; k++) { s += a[3 * i + k] * b[2 * k + j]; }
    return s;
  }`,
  functions: [],
  arrays: [6, 6],
  size: 4,
};

/** A product of a 2 × 3 and a 3 × 2 matrix must be right, before anything else is computed. */
async function probe(gpu: Gpu): Promise<void> {
  gpu.upload(0, Float32Array.of(1, 2, 3, 4, 5, 6));
  gpu.upload(1, Float32Array.of(7, 8, 9, 10, 11, 12));
  gpu.launch(PROBE, 2, [0, 1], []);
  const product = await gpu.read(2);
  for (const slot of [0, 1, 2]) gpu.free(slot);
  if (product.join() !== "58,64,139,154")
    throw new Error(`gpu:${gpu.mode}: expected a product 58,64,139,154, got ${product.join()}`);
}

/** A kernel that copies its argument: how numbers become a handle. */
const copyText = (size: number): KernelText => ({
  name: `upload of ${size} numbers`,
  source: "function (a) { return a[this.thread.x]; }",
  functions: [],
  arrays: [size],
  size,
});

interface Held {
  readonly handle: Handle;
  readonly bytes: number;
  /** The kernel that made it. */
  readonly maker: Compiled;
}

interface Compiled {
  readonly text: KernelText;
  readonly run: Shortcut;
  /** Whether its first call, which compiles it, has been checked. */
  checked: boolean;
}

class GpuJs implements Gpu {
  readonly mode: Mode;
  driver = "";
  readonly #library: GpuJsModule;
  readonly #gpu: GpuInstance;
  readonly #held = new Map<Slot, Held>();
  readonly #byText = new Map<string, Compiled>();
  readonly #byKernel = new WeakMap<KernelText, Compiled>();
  readonly #copies = new Map<number, KernelText>();
  /** Where calls return promises, the end of the row in which they are made; else null. */
  #tail: Promise<void> | null;
  #failure: Error | null = null;
  #usage = { ...NO_USAGE };

  constructor(mode: Mode, library: GpuJsModule) {
    this.mode = mode;
    this.#library = library;
    this.#gpu = new library.GPU({ mode });
    this.#tail = mode === "webgpu" ? Promise.resolve() : null;
  }

  upload(to: Slot, numbers: Float32Array): void {
    const { length } = numbers;
    let text = this.#copies.get(length);
    if (!text) this.#copies.set(length, (text = copyText(length)));
    const kernel = this.#compile(text);
    const own = numbers.slice(); // it may change before its turn comes
    this.#usage.uploaded += own.byteLength;
    this.#inTurn(() => this.#call(kernel, to, [own]));
  }

  launch(text: KernelText, to: Slot, arrays: readonly Slot[], params: readonly number[]): void {
    const kernel = this.#compile(text);
    this.#usage.launches++;
    this.#inTurn(() => this.#call(kernel, to, [...arrays.map((slot) => this.#get(slot).handle), ...params]));
  }

  free(slot: Slot): void {
    this.#inTurn(() => {
      const { handle, bytes } = this.#get(slot);
      if ("delete" in handle) handle.delete();
      this.#held.delete(slot);
      this.#usage.slots--;
      this.#usage.bytes -= bytes;
    });
  }

  async read(slot: Slot): Promise<Float32Array> {
    if (this.#tail) await this.#tail; // what is freed later frees later
    if (this.#failure) throw this.#failure;
    const { handle, maker } = this.#get(slot);
    const numbers = await ("toArray" in handle ? handle.toArray() : handle.slice());
    if (this.#failure) throw this.#failure;
    this.#checkContext(maker);
    this.#usage.downloaded += numbers.byteLength;
    return numbers;
  }

  usage(): GpuUsage {
    return { ...this.#usage };
  }

  async close(): Promise<void> {
    await this.#tail;
    for (const { handle } of this.#held.values()) if ("delete" in handle) handle.delete();
    this.#held.clear();
    await this.#gpu.destroy();
  }

  /** Does `task` after all that was asked before it: at once, or when its turn comes. */
  #inTurn(task: () => void | Promise<void>): void {
    if (this.#failure) throw this.#failure;
    if (!this.#tail) task();
    else {
      this.#tail = this.#tail
        .then(() => (this.#failure ? undefined : task()))
        .catch((error: Error) => {
          this.#failure ??= error;
        });
    }
  }

  #compile(text: KernelText): Compiled {
    const known = this.#byKernel.get(text);
    if (known) return known;
    const key = [text.size, text.arrays, text.source, ...text.functions].join("\n");
    let compiled = this.#byText.get(key);
    if (!compiled) {
      const functions = text.functions.map((source) => ({ source, settings: NUMBERS }));
      const settings = { ...SETTINGS, output: [text.size], functions };
      compiled = { text, run: this.#gpu.createKernel(text.source, settings), checked: false };
      this.#byText.set(key, compiled);
      this.#usage.kernels++;
    }
    this.#byKernel.set(text, compiled);
    return compiled;
  }

  #call(kernel: Compiled, to: Slot, args: readonly unknown[]): void | Promise<void> {
    const started = performance.now();
    const keep = (handle: Handle): void => {
      if (!kernel.checked) this.#checkFirst(kernel, performance.now() - started);
      const bytes = 4 * kernel.text.size;
      this.#held.set(to, { handle, bytes, maker: kernel });
      this.#usage.slots++;
      this.#usage.bytes += bytes;
    };
    try {
      const result = kernel.run(...args);
      return result instanceof Promise
        ? result.then(keep, (error) => this.#fail(kernel, error))
        : keep(result);
    } catch (error) {
      return this.#fail(kernel, error as Error);
    }
  }

  #fail({ text, checked }: Compiled, error: Error): never {
    const what = checked ? "failed" : "does not compile";
    throw new Error(`gpu:${this.mode}: kernel ${text.name} ${what}: ${error.message}`, { cause: error });
  }

  /** After a kernel's first call: it must have run in the mode that was asked for. */
  #checkFirst(kernel: Compiled, ms: number): void {
    kernel.checked = true;
    this.#usage.compileMs += ms;
    const ran = kernel.run.kernel;
    const { fallbackReason, context } = ran;
    if (ran.constructor !== this.#library[KERNEL_CLASSES[this.mode]] || fallbackReason) {
      const reason = fallbackReason ?? "GPU.js chose another mode";
      throw new Error(`gpu:${this.mode}: kernel ${kernel.text.name} did not run in this mode: ${reason}`);
    }
    listKernel(this.#listing(kernel));
    if (this.driver) return;
    this.driver = describe(context);
    const device = context?.device;
    if (device) {
      device.onuncapturederror = ({ error }) => {
        this.#failure ??= new Error(`gpu:${this.mode}: ${error.message}`);
      };
    }
  }

  #listing({ text: { name, source, functions }, run: { kernel } }: Compiled): KernelListing {
    const translated = kernel.compiledFragmentShader ?? kernel.compiledSource;
    const text = [...functions, source, ...(translated ? [translated] : [])].join("\n\n");
    const device = `gpu:${this.mode}`;
    return { device, call: name, name: "from a formula", formula: null, bytes: text.length, text };
  }

  #checkContext({ text, run }: Compiled): void {
    if (run.kernel.context?.isContextLost?.())
      throw new Error(
        `gpu:${this.mode}: the context was lost, and with it the result of kernel ${text.name}`,
      );
  }

  #get(slot: Slot): Held {
    const held = this.#held.get(slot);
    if (!held) throw new Error(`gpu:${this.mode}: slot ${slot} holds nothing`);
    return held;
  }
}

/** Helper functions take and give numbers. */
const NUMBERS = { returnType: "Number" } as const;

/** What a context says of its driver. */
function describe(context: Context | null): string {
  if (context?.adapter) {
    const { vendor, architecture, device, description } = context.adapter.info;
    return [vendor, architecture, device, description].filter(Boolean).join(" ");
  }
  if (!context?.getParameter) return "WebAssembly on the processor";
  const named = context.getExtension?.("WEBGL_debug_renderer_info");
  return String(context.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : (context.RENDERER as number)));
}
