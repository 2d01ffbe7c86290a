/** Small products inside of kernels, on one inner kernel of 4 rows × 8 columns: what attention is made of. */
import type { Local } from "./assembler.ts";
import type { KernelCode } from "./engine.ts";
import { load, loadSplat } from "./loads.ts";
import { F32x4, I32 } from "./values.ts";

/** Rows `row` bytes apart, from an address on. */
export interface Rows {
  readonly at: I32;
  readonly row: number;
}

/** C = A B, or C += A B: four rows and some columns of C. */
export interface Product {
  /** A's first number; bytes from row to row and from column to column. */
  readonly a: I32;
  readonly aRow: number;
  readonly aStep: number;
  readonly b: Rows;
  /** Columns of A, rows of B; at least one. */
  readonly steps: I32;
  readonly c: Rows;
  /** Adds to C where this is not 0. */
  readonly onto?: I32;
}

/** Four rows of a product, `columns` (a multiple of four) wide. */
export function fourRowsOf(code: KernelCode, columns: I32, { a, b, c, ...rest }: Product): void {
  const { f } = code;
  const column = f.local(I32);
  const [fromA, fromB, toC] = [f.let(a), f.let(b.at), f.let(c.at)];
  const some = (vectors: number) => {
    const place = f.let(column.shl(2));
    const own = { b: { ...b, at: fromB.add(place) }, c: { ...c, at: toC.add(place) } };
    inner(code, vectors, { a: fromA, ...own, ...rest });
  };
  const eights = f.let(columns.and(-8));
  f.range(column, 0, eights, 8, () => some(2));
  f.set(column, eights);
  f.if(columns.and(4), () => some(1));
}

/** The inner kernel: four rows, one or two vectors of columns. */
function inner(code: KernelCode, vectors: number, { a, aRow, aStep, b, steps, c, onto }: Product): void {
  const { f, madd } = code;
  const [fromA, fromB, toC] = [f.let(a), f.let(b.at), f.let(c.at)];
  const sums = Array.from({ length: 4 }, () => f.locals(F32x4, vectors));
  const each = (visit: (sum: Local<F32x4>, offset: number) => void) =>
    sums.forEach((own, r) => {
      own.forEach((sum, v) => {
        visit(sum, r * c.row + 16 * v);
      });
    });
  const fromZero = () => each((sum) => f.set(sum, F32x4.zero()));
  if (onto) f.if(onto, () => each((sum, offset) => f.set(sum, load(F32x4, toC, offset))), fromZero);
  else fromZero();
  const end = f.let(fromB.add(steps.mul(b.row)));
  const bs = f.locals(F32x4, vectors);
  const x = f.local(F32x4);
  f.repeatWhile(
    () => {
      bs.forEach((value, v) => {
        f.set(value, load(F32x4, fromB, 16 * v));
      });
      sums.forEach((own, r) => {
        f.set(x, loadSplat(fromA, r * aRow));
        own.forEach((sum, v) => {
          f.set(sum, madd(x, bs[v], sum));
        });
      });
      f.bump(fromA, aStep);
      f.bump(fromB, b.row);
    },
    () => fromB.ne(end),
  );
  each((sum, offset) => f.store(toC, sum, offset));
}
