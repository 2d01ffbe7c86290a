/**
 * Products of few rows with weights that are read once, as fast as memory gives them:
 *
 *     out = activation(x W + bias) + residual        for each of G matrices
 *
 * A tile, which threads share, is one panel of weights and all rows. With int8 weights the rows of x are made integers
 * first (quantize.ts). This file picks the kernel and its arguments; few-rows-code.ts writes it.
 */
import type { Ready } from "../../device.ts";
import { WEIGHT_BYTES } from "../../weight-format.ts";
import { wasmCall } from "../kernels/call.ts";
import { kernel } from "../kernels/engine.ts";
import { formulaKey } from "../kernels/formula.ts";
import { addressOf } from "../storage.ts";
import { type FewRowsSpec, writeFewRows } from "./few-rows-code.ts";
import { levelPitch, levels, quantizeKernel, reserveLevels } from "./quantize.ts";
import type { PackedProduct } from "./task.ts";

/** Makes the product ready to run; K and the result are not empty. */
export function fewRowsWasm(task: PackedProduct): Ready {
  const { out, x, rowLength, weights, M, bias, biasRows = 1, biasFrom = 0, residual } = task;
  const { K, N, groups, layout, steps } = weights;
  const { format, width } = layout;
  const int8 = format === "int8";
  const spec: FewRowsSpec = {
    layout,
    pitch: int8 ? levelPitch(K) : 4 * rowLength,
    ragged: N % width,
    fours: M >= 4,
    rowsLeft: M % 4,
    bias: bias ? (biasRows === 1 ? "one" : "some") : "none",
    residual: residual !== undefined,
    activation: task.activation ?? null,
  };
  const { layout: _, activation, ...plain } = spec;
  const name = `product of few rows ${format} ${Object.values(plain).join(" ")}`;
  const key = `${name}\n${activation ? formulaKey(activation) : ""}`;
  const code = kernel(key, 15, (k) => writeFewRows(spec, k));
  const panels = Math.ceil(N / width);
  const shared = x.size === M * rowLength;
  const biasAt = bias ? addressOf(bias) + 4 * biasFrom * biasRows * N : 0;
  // biome-ignore format: one line for the addresses, one for the sizes
  const args = [
    addressOf(x), 0, weights.address, weights.scales, addressOf(out), biasAt, residual ? addressOf(residual) : 0,
    M, N, steps, panels, weights.columns, shared ? 0 : M, M / biasRows, 4 * biasRows * N,
  ];
  const size = groups * K * N;
  const cost = Math.max((2 * M * size) / 30_000, (size * WEIGHT_BYTES[format]) / 20_000);
  const product = wasmCall(code, args, groups * panels, cost);
  if (!int8) return product;

  const quantize = quantizeKernel();
  const rows = shared ? M : groups * M;
  const room = reserveLevels(rows * (spec.pitch + 4));
  const source = [addressOf(x), 0, 0, K, 4 * rowLength, spec.pitch, levels(K)];
  return () => {
    args[0] = source[1] = room();
    args[1] = source[2] = args[0] + rows * spec.pitch;
    quantize.run(source, 0, rows);
    product();
  };
}
