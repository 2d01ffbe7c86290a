/**
 * The rungs of docs/products.md: one matrix product, C (M, N) = A (M, K) · B (K, N), from three plain loops to the
 * kernels that the library runs. Each rung changes one thing.
 */
import { type KernelCode, kernel, withoutFma } from "../core/cpu/kernels/engine.ts";
import { load, loadSplat } from "../core/cpu/kernels/loads.ts";
import { F32x4, I32 } from "../core/cpu/kernels/values.ts";
import { packWeights } from "../core/cpu/product/choose.ts";
import { forFewRows, forManyRows, type Layout } from "../core/cpu/product/layout.ts";
import { productWasm } from "../core/cpu/product/product.ts";
import { REGISTER_TILES } from "../core/cpu/product/register-tile.ts";
import { addressOf } from "../core/cpu/storage.ts";
import type { Tensor } from "../core/tensor.ts";

export interface Product {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly out: Tensor;
  readonly M: number;
  readonly K: number;
  readonly N: number;
}

/** Makes a rung ready for its first `rows` rows: the slow ones need not do all of them to be timed. */
export interface Rung {
  readonly name: string;
  readonly rows: number;
  readonly threads?: number;
  make(product: Product): () => void;
}

/** Rows and columns of the tile that the rungs before the library's kernels keep in registers. */
const [ROWS, COLUMNS] = [4, 8];

function threeLoops({ a, b, out, M, K, N }: Product): () => void {
  const [A, B, C] = [a.data, b.data, out.data];
  return () => {
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += A[i * K + k] * B[k * N + j];
        C[i * N + j] = sum;
      }
    }
  };
}

/** k outside j: B is read along its rows, as it lies. */
function loopOrder({ a, b, out, M, K, N }: Product): () => void {
  const [A, B, C] = [a.data, b.data, out.data];
  return () => {
    C.fill(0, 0, M * N);
    for (let i = 0; i < M; i++) {
      for (let k = 0; k < K; k++) {
        const x = A[i * K + k];
        for (let j = 0; j < N; j++) C[i * N + j] += x * B[k * N + j];
      }
    }
  };
}

/** Two rows by four columns of sums in local variables: each number read is used several times. */
function registerTile({ a, b, out, M, K, N }: Product): () => void {
  const [A, B, C] = [a.data, b.data, out.data];
  return () => {
    for (let i = 0; i < M; i += 2) {
      for (let j = 0; j < N; j += 4) {
        let [c00, c01, c02, c03, c10, c11, c12, c13] = [0, 0, 0, 0, 0, 0, 0, 0];
        for (let k = 0, p = i * K, q = j; k < K; k++, p++, q += N) {
          const [x, y] = [A[p], A[p + K]];
          const [b0, b1, b2, b3] = [B[q], B[q + 1], B[q + 2], B[q + 3]];
          c00 += x * b0;
          c01 += x * b1;
          c02 += x * b2;
          c03 += x * b3;
          c10 += y * b0;
          c11 += y * b1;
          c12 += y * b2;
          c13 += y * b3;
        }
        const at = i * N + j;
        C[at] = c00;
        C[at + 1] = c01;
        C[at + 2] = c02;
        C[at + 3] = c03;
        C[at + N] = c10;
        C[at + N + 1] = c11;
        C[at + N + 2] = c12;
        C[at + N + 3] = c13;
      }
    }
  };
}

/** The shape of an emitted rung's tile, and whether B comes in panels as wide as the tile. */
interface Simple {
  readonly rows: number;
  readonly vectors: number;
  readonly panels: boolean;
}

/** Rows outside, columns inside, all of k in between: a register tile in SIMD and nothing else. */
function simple(shape: Simple): (product: Product) => () => void {
  return ({ a, b, out, M, K, N }) => {
    const width = 4 * shape.vectors;
    const { panels, rows } = shape;
    if (M % rows !== 0 || N % width !== 0) throw new Error(`ladder: ${M} × ${N} is not whole tiles`);
    const weights = panels ? packWeights(b, K, N, false, { ...forManyRows(REGISTER_TILES[0]), width }) : null;
    const code = kernel(`ladder ${Object.values(shape).join(" ")} ${K} ${N}`, 3, (k) =>
      writeSimple(k, shape, K, N),
    );
    const args = [addressOf(a), weights ? weights.address : addressOf(b), addressOf(out)];
    return () => code.run(args, 0, M / rows);
  };
}

function writeSimple(code: KernelCode, { rows, vectors, panels }: Simple, K: number, N: number): void {
  const { f, madd, tileBegin, tileEnd } = code;
  const [a, b, out] = code.args;
  const [tile, column, x, weights] = f.locals(I32, 4);
  const width = 4 * vectors;
  const step = panels ? 4 * width : 4 * N;
  f.range(tile, tileBegin, tileEnd, 1, () => {
    f.range(column, 0, f.let(tile.mul(0).add(N)), width, () => {
      const sums = Array.from({ length: rows }, () => f.locals(F32x4, vectors));
      for (const sum of sums.flat()) f.set(sum, F32x4.zero());
      f.set(x, a.add(tile.mul(4 * rows * K)));
      f.set(weights, b.add(column.mul(panels ? 4 * K : 4)));
      const end = f.let(x.add(4 * K));
      f.repeatWhile(
        () => {
          const row = Array.from({ length: vectors }, (_, v) => f.let(load(F32x4, weights, 16 * v)));
          sums.forEach((own, r) => {
            const number = f.let(loadSplat(x, 4 * r * K));
            own.forEach((sum, v) => {
              f.set(sum, madd(number, row[v], sum));
            });
          });
          f.bump(x, 4);
          f.bump(weights, step);
        },
        () => x.ne(end),
      );
      const to = f.let(out.add(tile.mul(4 * rows * N)).add(column.shl(2)));
      sums.forEach((own, r) => {
        own.forEach((sum, v) => {
          f.store(to, sum, 4 * (r * N + 4 * v));
        });
      });
    });
  });
}

/** The library's product with weights that lie so. */
function library(layout: Layout): (product: Product) => () => void {
  return ({ a, b, out, M, K, N }) => {
    const weights = packWeights(b, K, N, false, layout);
    return productWasm({ out, a, b: weights, M, N, K }) as () => void;
  };
}

const inTwoSteps =
  (make: Rung["make"]): Rung["make"] =>
  (product) =>
    withoutFma(() => make(product));

/** The climb for many rows, in GFLOP/s. */
export const MANY_ROWS: readonly Rung[] = [
  { name: "three loops", rows: 1, make: threeLoops },
  { name: "loop order", rows: 1, make: loopOrder },
  { name: "register tile", rows: 2, make: registerTile },
  { name: "SIMD, 1 x 4", rows: 4, make: inTwoSteps(simple({ rows: 1, vectors: 1, panels: false })) },
  {
    name: `SIMD, ${ROWS} x ${COLUMNS}`,
    rows: 48,
    make: inTwoSteps(simple({ rows: ROWS, vectors: COLUMNS / 4, panels: false })),
  },
  {
    name: "multiply-add",
    rows: 48,
    make: simple({ rows: ROWS, vectors: COLUMNS / 4, panels: false }),
  },
  { name: "panels", rows: 48, make: simple({ rows: ROWS, vectors: COLUMNS / 4, panels: true }) },
  { name: "blocks", rows: 48, make: library(forManyRows(REGISTER_TILES[0])) },
  { name: "two threads", rows: 48, threads: 2, make: library(forManyRows(REGISTER_TILES[0])) },
];

/** The climb for one row, in GB/s. */
export const ONE_ROW: readonly (Rung & { readonly format: "float32" | "bfloat16" | "int8" })[] = [
  {
    name: "the kernel for many rows",
    rows: 1,
    format: "float32",
    make: library(forManyRows(REGISTER_TILES[0])),
  },
  { name: "streamed", rows: 1, format: "float32", make: library(forFewRows("float32")) },
  { name: "streamed", rows: 1, format: "bfloat16", make: library(forFewRows("bfloat16")) },
  { name: "streamed", rows: 1, format: "int8", make: library(forFewRows("int8")) },
];
