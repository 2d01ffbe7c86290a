/**
 * Matrix products of many rows: C = op(A)·op(B), with what follows it in the same kernel (bias, an elementwise
 * function, a residual). This file cuts the product into tiles and picks the kernel; many-rows-code.ts writes it.
 */
import type { Ready } from "../../device.ts";
import { wasmCall } from "../kernels/call.ts";
import { type Kernel, kernel, usesFma } from "../kernels/engine.ts";
import { formulaKey } from "../kernels/formula.ts";
import { addressOf } from "../storage.ts";
import { PackedWeights } from "./layout.ts";
import {
  type ManyRowsSpec,
  TILE_COLUMNS,
  TURNED_DEPTH,
  turnedRows,
  writeManyRows,
} from "./many-rows-code.ts";
import { REGISTER_TILES, type RegisterTile, tileName } from "./register-tile.ts";
import type { Product } from "./task.ts";

/** Bytes of A that one tile reads per block of k: half a second-level cache. */
const A_BYTES = 1 << 19;

/**
 * Width from which a transposed A is laid out as rows first. Narrower ones lie close enough together for the caches,
 * and copying them costs more than it brings (4096 × 1024 with 49 steps: 17 GFLOP/s as it lies, 27 laid out; 64 × 256
 * with 2048: 47 and 46).
 */
const TURNED_WIDTH = 512;

/** Makes a product ready to run; K, M, N and the batch are not 0. */
export function manyRowsWasm(task: Product, tile: RegisterTile): Ready {
  const { out, a, b, M, N, K, batch = 1, strides, bias, residual } = task;
  const packed = b instanceof PackedWeights;
  const turned = task.transA === true && M >= TURNED_WIDTH;
  // Without many rows to use a block of B for, it need not fit the cache.
  const depth = packed && M < 12 ? K : Math.min(K, turned ? TURNED_DEPTH : tile.depth);
  const code = manyRowsKernel({
    tile,
    lda: task.transA ? null : K,
    turned,
    b: packed ? "packed" : task.transB ? "columns" : "rows",
    ragged: N % (4 * tile.vectors),
    bias: bias !== undefined,
    residual: residual !== undefined,
    activation: task.activation ?? null,
  });
  const groups = Math.ceil(N / TILE_COLUMNS);
  const most = turned ? turnedRows(tile) : Math.floor(A_BYTES / (4 * Math.min(K, tile.depth)));
  const rows = tileRows(tile, M, most, groups * batch);
  const rowTiles = Math.ceil(M / rows);
  const addressOfB = packed ? b.address : addressOf(b);
  // biome-ignore format: one line for the matrices, one for the sizes, one for the steps
  const args = [
    addressOf(a), addressOfB, addressOf(out), bias ? addressOf(bias) : 0, residual ? addressOf(residual) : 0,
    M, N, K, depth, rows, rowTiles, groups,
    4 * (strides?.a ?? 0), 4 * (strides?.b ?? 0), 4 * (strides?.out ?? 0),
  ];
  const cost = Math.max((2 * batch * M * N * K) / 40_000, (4 * K * N) / 20_000);
  return wasmCall(code, args, batch * rowTiles * groups, cost);
}

/** Rows per tile: as many as there is room for, but enough tiles for some threads, and all about equally large. */
function tileRows(tile: RegisterTile, M: number, most: number, columnTiles: number): number {
  const shared = Math.max(48, Math.ceil((M * columnTiles) / 8));
  const tiles = Math.ceil(M / Math.min(most, shared, M));
  return Math.ceil(M / tiles / tile.rows) * tile.rows;
}

/** Kernels without an activation by what `specCode` makes of their spec: found without making a string. */
const kernels = new Map<number, Kernel>();
const ORDERS: readonly ManyRowsSpec["b"][] = ["rows", "columns", "packed"];

function specCode({ tile, lda, turned, b, ragged, bias, residual }: ManyRowsSpec): number {
  let code = 1 + (lda ?? -1);
  code = 64 * code + ragged;
  code = ORDERS.length * code + ORDERS.indexOf(b);
  code = (REGISTER_TILES.length + 1) * code + REGISTER_TILES.indexOf(tile);
  for (const flag of [turned, bias, residual, usesFma()]) code = 2 * code + (flag ? 1 : 0);
  return code;
}

function manyRowsKernel(spec: ManyRowsSpec): Kernel {
  if (spec.activation) return namedKernel(spec);
  const code = specCode(spec);
  let found = kernels.get(code);
  if (!found) kernels.set(code, (found = namedKernel(spec)));
  return found;
}

function namedKernel(spec: ManyRowsSpec): Kernel {
  const { tile, activation } = spec;
  const name = [
    "product of many rows",
    tileName(tile),
    spec.b,
    `lda ${spec.lda ?? (spec.turned ? "turned" : "columns")}`,
    `ragged ${spec.ragged}`,
    spec.bias ? "bias" : "",
    spec.residual ? "residual" : "",
  ];
  const key = `${name.join(" ")}\n${activation ? formulaKey(activation) : ""}`;
  return kernel(key, 15, (code) => writeManyRows(spec, code));
}
