/** Elementwise kernels: one formula, any broadcasting. */
import type { Ready, TensorView } from "../../device.ts";
import type { Expr } from "../../formula/expr.ts";
import { broadcastStrides, type Shape, sameShape } from "../../shape.ts";
import { addressOf } from "../storage.ts";
import type { Func, Local } from "./assembler.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, KernelFamily } from "./engine.ts";
import { emitFormula, formulaCost, formulaKey } from "./formula.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load, loadSplat } from "./loads.ts";
import { F32x4, I32 } from "./values.ts";

/** Numbers per tile when the whole output is one row; a multiple of four. */
const CHUNK = 4096;

/** A loop over the output: its length, and how far each input moves per turn, in elements. */
export interface Axis {
  readonly length: number;
  readonly strides: readonly number[];
}

/**
 * Makes the kernel of a formula with `inputs` inputs and `params` params. Returned function: writes
 * formula(ins, params) to `out`, the inputs broadcast to its shape; null unless all blocks are float32.
 * `out` may be the same block as an input of its own shape.
 */
export function elementwiseWasm(
  formula: Expr,
  inputs: number,
  params: number,
): (out: TensorView, ins: readonly TensorView[], values?: readonly number[]) => Ready | null {
  const cost = formulaCost(formula) / 1e6 + 0.0002 * (1 + inputs);
  // A variant: number of outer loops, then one bit for each input that walks along a row.
  const everyWalk = (1 << inputs) - 1;
  const walksOf = (variant: number) => Array.from({ length: inputs }, (_, i) => ((variant >> i) & 1) === 1);
  const kernels = new KernelFamily(
    (variant) => {
      const walks = walksOf(variant).map((walk) => (walk ? "walk" : "stay"));
      return `elementwise ${variant >> inputs} ${walks.join(" ")}\n${formulaKey(formula)}`;
    },
    (variant) => 2 + inputs + params + (variant >> inputs) * (1 + inputs),
    (code, variant) => elementwiseCode(code, formula, walksOf(variant), params, variant >> inputs),
  );

  return (out, ins, values = []) => {
    if (ins.length !== inputs || values.length !== params) {
      throw new Error(
        `elementwiseWasm: expected ${inputs} inputs and ${params} params, got ${ins.length} and ${values.length}`,
      );
    }
    if (out.size === 0 || out.dtype !== "float32") return null;
    let alike = true;
    for (const x of ins) {
      if (x.dtype !== "float32") return null;
      alike &&= sameShape(x.shape, out.shape);
    }
    const args = [addressOf(out), out.size];
    for (const x of ins) args.push(addressOf(x));
    for (const value of values) args.push(bitsOfOne(value));
    // Blocks of one shape are one row, whatever the shape.
    if (alike) return wasmCall(kernels.get(everyWalk), args, Math.ceil(out.size / CHUNK), out.size * cost);

    const axes = mergedAxes(
      out.shape,
      ins.map((x) => broadcastStrides(x.shape, out.shape)),
    );
    const row = axes.pop() as Axis;
    const variant = row.strides.reduce(
      (bits, stride, i) => (stride === 0 ? bits : bits | (1 << i)),
      axes.length << inputs,
    );
    args[1] = row.length;
    const tiles = axes.length === 0 ? Math.ceil(row.length / CHUNK) : out.size / row.length;
    return wasmCall(kernels.get(variant), args.concat(axisArgs(axes)), tiles, out.size * cost);
  };
}

const oneFloat = new Float32Array(1);
const itsBits = new Int32Array(oneFloat.buffer);

function bitsOfOne(value: number): number {
  oneFloat[0] = value;
  return itsBits[0];
}

/** Params travel as the bits of float32 numbers: kernel arguments are integers. */
export const bitsOf = (values: readonly number[]): number[] => values.map(bitsOfOne);

/**
 * The loops over an output of that shape, outermost first, with neighbours merged where every input allows it;
 * `strides[j]` says how input j moves along each axis, in elements. At least one loop.
 */
export function mergedAxes(shape: Shape, strides: readonly (readonly number[])[]): Axis[] {
  const axes: Axis[] = [];
  for (let i = 0; i < shape.length; i++) {
    const length = shape[i];
    if (length === 1) continue;
    const own = strides.map((list) => list[i]);
    const outer = axes.at(-1);
    if (outer?.strides.every((stride, j) => stride === own[j] * length)) {
      axes[axes.length - 1] = { length: outer.length * length, strides: own };
    } else axes.push({ length, strides: own });
  }
  return axes.length > 0 ? axes : [{ length: 1, strides: strides.map(() => 0) }];
}

/**
 * Arguments: out, length of a row, inputs, params, then for each outer axis its length and the byte steps of the
 * inputs.
 */
export function elementwiseCode(
  code: KernelCode,
  formula: Expr,
  walks: readonly boolean[],
  params: number,
  outer: number,
): void {
  const { f, args, tileBegin, tileEnd } = code;
  const [out, length] = args;
  const inputs = args.slice(2, 2 + walks.length);
  const values = args
    .slice(2 + walks.length, 2 + walks.length + params)
    .map((bits) => f.let(bits.asF32().splat()));
  const axes = args.slice(2 + walks.length + params);

  /** One row: four numbers at a time, then the rest. */
  const row = (to: I32, from: readonly I32[], count: I32) => {
    const write = f.let(to);
    const reads = from.map((address) => f.let(address));
    const repeated = reads.map((read, i) => (walks[i] ? null : f.let(loadSplat(read))));
    const end = f.let(write.add(count.and(-4).shl(2)));
    f.if(write.ne(end), () =>
      f.repeatWhile(
        () => {
          const xs = reads.map((read, i) => repeated[i] ?? f.let(load(F32x4, read)));
          f.store(write, emitFormula(code, formula, xs, values));
          f.bump(write, 16);
          reads.forEach((read, i) => {
            if (walks[i]) f.bump(read, 16);
          });
        },
        () => write.ne(end),
      ),
    );
    const rest = f.let(count.and(3));
    f.if(rest, () => {
      const xs = reads.map((read, i) => repeated[i] ?? loadTail(f, read, rest));
      storeTail(f, write, f.let(emitFormula(code, formula, xs, values)), rest);
    });
  };

  const tile = f.local(I32);
  if (outer === 0) {
    // One row: its tiles are chunks, and those of one call lie side by side.
    const first = f.let(tileBegin.mul(CHUNK));
    const last = f.let(f.let(tileEnd.mul(CHUNK)).min(length));
    f.if(first.lt(last), () => {
      const from = inputs.map((x, i) => (walks[i] ? x.add(first.shl(2)) : x));
      row(out.add(first.shl(2)), from, f.let(last.sub(first)));
    });
    return;
  }
  // A tile is a row.
  f.range(tile, tileBegin, tileEnd, 1, () => {
    row(out.add(tile.mul(length).shl(2)), walkTo(f, tile, axes, inputs), length);
  });
}

/**
 * Where each address stands after `turn` turns of nested loops. `axes` holds for each loop, outermost first, its
 * length and the byte steps of the addresses.
 */
export function walkTo(f: Func, turn: I32, axes: readonly I32[], addresses: readonly I32[]): Local<I32>[] {
  const fields = 1 + addresses.length;
  const rest = f.let<I32>(turn);
  const at = addresses.map((address) => f.let<I32>(address));
  for (let axis = axes.length / fields - 1; axis >= 0; axis--) {
    const [size, ...steps] = axes.slice(axis * fields, (axis + 1) * fields);
    const index = axis === 0 ? rest : f.let(rest.rem(size));
    steps.forEach((step, i) => {
      f.bump(at[i], index.mul(step));
    });
    if (axis > 0) f.set(rest, rest.div(size));
  }
  return at;
}

/** The outer loops of kernels that use `walkTo`, as arguments. */
export const axisArgs = (axes: readonly Axis[]): number[] =>
  axes.flatMap((axis) => [axis.length, ...axis.strides.map((stride) => 4 * stride)]);
