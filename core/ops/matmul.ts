import { checkOptions, refuse } from "../check.ts";
import { each, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { broadcastShapes, type Shape, sameShape, showShape, sizeOf } from "../shape.ts";
import { checkTensor, type Tensor } from "../tensor.ts";

/** Which of the two are read as their transposes. */
export interface Transposed {
  readonly a: boolean;
  readonly b: boolean;
}

export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

const MATMUL_OPTIONS = ["transposeA", "transposeB"];

/** What has a shape: a tensor, what a device sees of one, an operand of the formula. */
interface Shaped {
  readonly shape: Shape;
}

/** Sizes of op(A) (M, K) times op(B) (K, N), repeated `batch` times. */
export function sizes(
  a: Shaped,
  b: Shaped,
  transposed: Transposed,
): { batch: number; M: number; K: number; N: number } {
  const [ra, ca] = a.shape.slice(-2);
  const [rb, cb] = b.shape.slice(-2);
  const [M, K] = transposed.a ? [ca, ra] : [ra, ca];
  const [inner, N] = transposed.b ? [cb, rb] : [rb, cb];
  if (K !== inner) {
    const show = (x: Shaped, flipped: boolean): string => showShape(x.shape) + (flipped ? "ᵀ" : "");
    throw new Error(`matmul: inner sizes differ: ${show(a, transposed.a)} times ${show(b, transposed.b)}`);
  }
  const batch = sizeOf(a.shape.slice(0, -2)); // not from a's size, which says nothing where K is 0
  return { batch, M, K, N };
}

export const op = defineOp<Transposed>({
  name: "matmul",
  shape([a, b], transposed) {
    const { M, N } = sizes(a, b, transposed);
    return [...a.shape.slice(0, -2), M, N];
  },
  formula([a, b], transposed) {
    const { batch, M, K, N } = sizes(a, b, transposed);
    const left = a.as(transposed.a ? [batch, K, M] : [batch, M, K]);
    const right = b.as(transposed.b ? [batch, N, K] : [batch, K, N]);
    return each([batch, M, N], (i, m, n) =>
      sum(K, (k) => {
        const x = transposed.a ? left.at(i, k, m) : left.at(i, m, k);
        return x.mul(transposed.b ? right.at(i, n, k) : right.at(i, k, n));
      }),
    );
  },
  backward(dy, [a, b], _out, transposed, wants) {
    // C = op(A) op(B):  d op(A) = dC op(B)ᵀ,  d op(B) = op(A)ᵀ dC
    const da = (): Tensor =>
      transposed.a ? product(b, dy, transposed.b, true) : product(dy, b, false, !transposed.b);
    const db = (): Tensor =>
      transposed.b ? product(dy, a, true, transposed.a) : product(a, dy, !transposed.a, false);
    return [wants[0] ? da() : null, wants[1] ? db() : null];
  },
  samples: [
    { ...sample([3, 4], [4, 5]), attrs: { a: false, b: false } },
    { ...sample([4, 3], [4, 5]), attrs: { a: true, b: false } },
    { ...sample([3, 4], [5, 4]), attrs: { a: false, b: true } },
    { ...sample([4, 3], [5, 4]), attrs: { a: true, b: true } },
    { ...sample([2, 3, 4], [2, 4, 2]), attrs: { a: false, b: false } },
    { ...sample([2, 3, 4], [2, 3, 4]), attrs: { a: false, b: true } },
  ],
});

const product = (a: Tensor, b: Tensor, ta: boolean, tb: boolean): Tensor =>
  apply(op, [a, b], { a: ta, b: tb });

/**
 * Matrix product over the last two axes: (…, M, K) times (…, K, N) → (…, M, N). Leading axes broadcast.
 * `transposeA` and `transposeB` read an operand's last two axes swapped, without a copy.
 */
export function matmul(a: Tensor, b: Tensor, options?: MatmulOptions): Tensor {
  checkTensor(b, "matmul");
  if (options !== undefined) checkOptions(options, MATMUL_OPTIONS, "matmul");
  const { transposeA = false, transposeB = false } = options ?? {};
  if (typeof transposeA !== "boolean" || typeof transposeB !== "boolean")
    refuse("matmul", "transposeA and transposeB to be true or false", [transposeA, transposeB]);
  if (a.shape.length < 2 || b.shape.length < 2) {
    throw new Error(
      `matmul: expected two axes at least, got ${showShape(a.shape)} and ${showShape(b.shape)}`,
    );
  }
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  if (sameShape(batchA, batchB)) return product(a, b, transposeA, transposeB);
  if (batchB.length === 0 && !transposeA) {
    // One right-hand matrix for all: the left-hand rows become one tall matrix.
    const flat = a.reshape([sizeOf(a.shape.slice(0, -1)), a.shape.at(-1) as number]);
    const out = product(flat, b, false, transposeB);
    return out.reshape([...a.shape.slice(0, -1), out.shape[1]]);
  }
  const batch = broadcastShapes(batchA, batchB, "matmul");
  const stretch = (x: Tensor): Tensor => x.broadcastTo([...batch, ...x.shape.slice(-2)]);
  return product(stretch(a), stretch(b), transposeA, transposeB);
}
