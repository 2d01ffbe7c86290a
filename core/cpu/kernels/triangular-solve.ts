/** Triangular systems, four right-hand sides at a time, in double precision. */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import type { Func, Local } from "./assembler.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel, SCRATCH_BYTES } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load } from "./loads.ts";
import { F32, F32x4, F64x2, I32 } from "./values.ts";

/** Bytes of the scratch block that four solved numbers take. */
const SOLVED_BYTES = 32;

/** X with A X = B for a triangular A (N, N) and B (N, M); `out` may be the same block as B. */
export function triangularSolveWasm(
  out: TensorView,
  a: TensorView,
  b: TensorView,
  { lower, unit }: { readonly lower: boolean; readonly unit: boolean },
): Ready | null {
  const [N, M] = b.shape;
  if (out.dtype !== "float32" || N * SOLVED_BYTES > SCRATCH_BYTES) return null;
  const code = kernel(`triangular solve ${lower ? "lower" : "upper"}${unit ? " unit" : ""}`, 5, (k) =>
    triangularSolveCode(k, lower, unit),
  );
  const tiles = Math.ceil(M / 4);
  return wasmCall(code, [addressOf(out), addressOf(a), addressOf(b), N, M], tiles, tiles * N * N * 0.0007);
}

/**
 * A tile is four columns. Row by row, what is solved already is taken from the right-hand side: a row of A and the
 * solved numbers, which stand one behind the other in the scratch block.
 */
function triangularSolveCode(code: KernelCode, lower: boolean, unit: boolean): void {
  const { f, args, tileBegin, tileEnd, scratch } = code;
  const [out, a, b, N, M] = args;
  const rowBytes = f.let(M.shl(2));
  const [tile, n, read, solved] = f.locals(I32, 4);
  f.range(tile, tileBegin, tileEnd, 1, () => {
    const missing = f.let(M.sub(tile.shl(2)));
    const lanes = f.let(missing.lt(4).select(missing, 4));
    f.range(n, 0, N, 1, () => {
      const row = f.let(lower ? n : N.sub(1).sub(n));
      const offset = f.let(row.mul(rowBytes).add(tile.shl(4)));
      const given = partOfRow(f, b.add(offset), lanes);
      const x = [f.let(given.lowToF64()), f.let(given.shuffle(given, [2, 3, 2, 3]).lowToF64())];
      const diagonal = f.let(a.add(row.mul(N).add(row).shl(2)));
      // The row of A from its first to the diagonal, or from behind that to its last.
      f.set(read, lower ? diagonal.sub(row.shl(2)) : diagonal.add(4));
      f.set(solved, lower ? scratch : scratch.add(row.add(1).mul(SOLVED_BYTES)));
      const end = f.let(read.add(n.shl(2)));
      f.if(read.ne(end), () =>
        f.repeatWhile(
          () => {
            const factor = f.let(load(F32, read).toF64().splat());
            x.forEach((part, i) => {
              f.set(part, part.sub(factor.mul(load(F64x2, solved, 16 * i))));
            });
            f.bump(read, 4);
            f.bump(solved, SOLVED_BYTES);
          },
          () => read.ne(end),
        ),
      );
      if (!unit) {
        const divisor = f.let(load(F32, diagonal).toF64().splat());
        for (const part of x) f.set(part, part.div(divisor));
      }
      const own = f.let(scratch.add(row.mul(SOLVED_BYTES)));
      x.forEach((part, i) => {
        f.store(own, part, 16 * i);
      });
      const [low, high] = x.map((part) => part.toF32x4());
      const result = f.let(low.shuffle(high, [0, 1, 4, 5]));
      f.if(
        lanes.eq(4),
        () => f.store(out.add(offset), result),
        () => storeTail(f, f.let(out.add(offset)), result, lanes),
      );
    });
  });
}

/** The first `lanes` (1 to 4) floats at an address, then zeros. */
function partOfRow(f: Func, address: I32, lanes: I32): Local<F32x4> {
  const at = f.let(address);
  const part = f.local(F32x4);
  f.if(
    lanes.eq(4),
    () => f.set(part, load(F32x4, at)),
    () => f.set(part, loadTail(f, at, lanes)),
  );
  return part;
}
