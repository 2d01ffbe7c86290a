import { refuse } from "../check.ts";
import { onDevice } from "../device.ts";
import { checkFloat } from "../op.ts";
import { showShape, sizeOf } from "../shape.ts";
import { checkTensors, Tensor } from "../tensor.ts";

/** A tensor whose axes have letters, all different. */
interface Term {
  readonly x: Tensor;
  readonly letters: readonly string[];
}

interface Equation {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
}

/**
 * Einstein's summation: axes with the same letter walk together, and those that the result does not name are summed
 * over. `einsum("bij,bjk->bik", a, b)` is a batch of matrix products, `einsum("ii->i", a)` a diagonal,
 * `einsum("i,j->ij", a, b)` an outer product. Without an arrow the result has the letters that occur once, in
 * alphabetical order. Several tensors are joined from left to right, two at a time, by `matmul`.
 */
export function einsum(equation: string, ...tensors: readonly Tensor[]): Tensor {
  checkTensors(tensors, "einsum");
  const { inputs, output } = parse(equation, tensors);
  for (const x of tensors) checkFloat(x, "einsum");
  const [first, ...rest] = tensors.map((x, i) => diagonal(x, inputs[i]));
  const joined = rest.reduce((a, b, i) => {
    const needed = new Set([...output, ...rest.slice(i + 1).flatMap(({ letters }) => letters)]);
    return join(a, b, needed);
  }, first);
  return arranged(summed(joined, new Set(output)), output);
}

function parse(equation: string, tensors: readonly Tensor[]): Equation {
  if (typeof equation !== "string") refuse("einsum", 'an equation such as "ij,jk->ik"', equation);
  const text = equation.replaceAll(" ", "");
  if (!/^[a-z]*(,[a-z]*)*(->[a-z]*)?$/i.test(text))
    refuse("einsum", 'letters, commas and one arrow, as in "ij,jk->ik"', equation);
  const [left, right] = text.split("->");
  const inputs = left.split(",").map((letters) => [...letters]);
  const shapes = tensors.map(({ shape }) => showShape(shape)).join(", ");
  if (inputs.length !== tensors.length)
    throw new Error(`einsum: "${equation}" is of ${inputs.length} tensors, got ${tensors.length}: ${shapes}`);
  const lengths = new Map<string, number>();
  inputs.forEach((letters, i) => {
    const { shape } = tensors[i];
    if (letters.length !== shape.length)
      throw new Error(
        `einsum: expected an axis for each letter of "${letters.join("")}", got ${showShape(shape)}`,
      );
    letters.forEach((letter, axis) => {
      const known = lengths.get(letter) ?? shape[axis];
      if (known !== shape[axis])
        throw new Error(
          `einsum: ${letter} has lengths ${known} and ${shape[axis]} in ${shapes} ("${equation}")`,
        );
      lengths.set(letter, known);
    });
  });
  const all = inputs.flat();
  const once = all.filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort();
  const output = right === undefined ? once : [...right];
  for (const letter of output) {
    if (!lengths.has(letter))
      throw new Error(`einsum: ${letter} of the result is in no tensor ("${equation}")`);
    if (output.indexOf(letter) !== output.lastIndexOf(letter))
      throw new Error(`einsum: the result names ${letter} twice ("${equation}")`);
  }
  return { inputs, output };
}

/** Of axes with the same letter, the numbers at equal places. */
function diagonal(x: Tensor, letters: readonly string[]): Term {
  const second = letters.findIndex((letter, axis) => letters.indexOf(letter) < axis);
  if (second < 0) return { x, letters };
  const first = letters.indexOf(letters[second]);
  const others = [...letters.keys()].filter((axis) => axis !== first && axis !== second);
  const last = x.permute([...others, first, second]);
  const length = x.shape[first];
  const flat = last.reshape([...others.map((axis) => x.shape[axis]), length * length]);
  const places = Int32Array.from({ length }, (_, i) => i * (length + 1));
  const ids = onDevice(x.device, () => Tensor.from(places, [length], "int32"));
  return diagonal(flat.indexSelect(-1, ids), [...others.map((axis) => letters[axis]), letters[first]]);
}

/** Summed over the axes that are not needed. */
function summed({ x, letters }: Term, needed: ReadonlySet<string>): Term {
  const gone = [...letters.keys()].filter((axis) => !needed.has(letters[axis]));
  if (gone.length === 0) return { x, letters };
  return { x: x.sum(gone), letters: letters.filter((letter) => needed.has(letter)) };
}

/** The axes in that order. */
function arranged({ x, letters }: Term, order: readonly string[]): Tensor {
  const axes = order.map((letter) => letters.indexOf(letter));
  return axes.every((axis, i) => axis === i) ? x : x.permute(axes);
}

/** The product of two terms, summed over the axes that they share and nobody needs. */
function join(a: Term, b: Term, needed: ReadonlySet<string>): Term {
  const one = summed(a, new Set([...b.letters, ...needed]));
  const two = summed(b, new Set([...a.letters, ...needed]));
  const common = one.letters.filter((letter) => two.letters.includes(letter));
  const batch = common.filter((letter) => needed.has(letter));
  const inner = common.filter((letter) => !needed.has(letter));
  const left = one.letters.filter((letter) => !common.includes(letter));
  const right = two.letters.filter((letter) => !common.includes(letter));
  const lengthOf = (letter: string): number =>
    one.letters.includes(letter)
      ? one.x.shape[one.letters.indexOf(letter)]
      : two.x.shape[two.letters.indexOf(letter)];
  const size = (letters: readonly string[]): number => sizeOf(letters.map(lengthOf));
  const [B, M, K, N] = [batch, left, inner, right].map(size);
  const x = arranged(one, [...batch, ...left, ...inner]).reshape([B, M, K]);
  const y = arranged(two, [...batch, ...inner, ...right]).reshape([B, K, N]);
  const letters = [...batch, ...left, ...right];
  const product = inner.length === 0 ? x.mul(y) : x.matmul(y);
  return { x: product.reshape(letters.map(lengthOf)), letters };
}
