/**
 * The kernels that were compiled, on whatever device, for those who study them: as a list, and printed one by one where
 * a switch of the environment asks for it. `NINA_DEBUG=1` prints a line for each kernel when it is compiled,
 * `NINA_DEBUG=2` its formula and its code as well.
 */
import { setting } from "./platform/node.ts";

/** A kernel to be studied. */
export interface KernelListing {
  /** Where it runs: "cpu", "gpu:webgl2". */
  readonly device: string;
  /**
   * What it was compiled for: the op, or the ops that a plan has joined, and the shapes of the inputs, as in
   * "linear, gelu (4, 8) (16, 8) (16)". Later calls that need the same code share it.
   */
  readonly call: string;
  /** Its own name, where it was written by hand or is elementwise; else "from a formula". */
  readonly name: string;
  /**
   * What that call computes, as loops printed from the formula of the op (see `printed`): a kernel that was written by
   * hand does the same, or a part of it. null on a GPU, where `text` is printed from it.
   */
  readonly formula: string | null;
  /** Of its module on the CPU, of `text` on a GPU. */
  readonly bytes: number;
  /** On the CPU WebAssembly's text form. On a GPU what GPU.js is given, then the GLSL or WGSL that it makes of that. */
  readonly text: string;
}

const listed: KernelListing[] = [];

/** The kernels that ops were compiled to so far, in that order: run what interests you, then look at the last. */
export const compiledKernels = (): KernelListing[] => [...listed];

/** Called by devices for each kernel that they compile. */
export function listKernel(kernel: KernelListing): void {
  listed.push(kernel);
  const level = debugLevel();
  if (level > 0) console.error(described(kernel, level === 2));
}

/** What `NINA_DEBUG` asks for. */
function debugLevel(): number {
  const level = setting("NINA_DEBUG") || "0";
  if (!/^[012]$/.test(level)) throw new Error(`NINA_DEBUG: expected 0, 1 or 2, got ${level}`);
  return Number(level);
}

/** A kernel in a line or, `whole`, with its formula and its code. */
export function described(kernel: KernelListing, whole: boolean): string {
  const { device, call, name, bytes } = kernel;
  const line = `kernel on ${device} for ${call}: ${name}, ${bytes} bytes`;
  if (!whole) return line;
  const { formula, text } = kernel;
  return [line, ...(formula === null ? [] : ["formula:", indented(formula)]), "code:", indented(text)].join(
    "\n",
  );
}

const indented = (text: string): string => text.replace(/^(?=.)/gm, "  ");
