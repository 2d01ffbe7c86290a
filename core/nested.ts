import { refuse } from "./check.ts";
import { sameShape, showShape } from "./shape.ts";

/** Numbers in nested arrays, as many levels deep as there are axes. */
export type Nested = ArrayLike<number> | readonly Nested[];

interface Flat {
  /** Row-major. */
  readonly numbers: ArrayLike<number>;
  readonly shape: readonly number[];
}

/** More levels than any tensor has axes: an array that holds itself ends here. */
const MAX_LEVELS = 32;

/** The numbers in nested arrays and the shape they are nested in. Throws unless all rows have one shape. */
export function flatten(values: Nested, who: string, level = 1): Flat {
  if (ArrayBuffer.isView(values) && !(values instanceof DataView)) {
    if (values instanceof BigInt64Array || values instanceof BigUint64Array) refuse(who, "numbers", values);
    return { numbers: values as ArrayLike<number>, shape: [values.length] };
  }
  if (!Array.isArray(values)) refuse(who, "an array of numbers", values);
  if (level > MAX_LEVELS) throw new Error(`${who}: expected at most ${MAX_LEVELS} levels of arrays`);
  const list = values as readonly unknown[];
  if (typeof list[0] !== "object") {
    for (let i = 0; i < list.length; i++)
      if (typeof list[i] !== "number") refuse(who, `a number at [${i}]`, list[i]);
    return { numbers: list as readonly number[], shape: [list.length] };
  }
  const rows = Array.from(list, (row) => flatten(row as Nested, who, level + 1)); // map would pass over holes
  const [{ shape }] = rows;
  const odd = rows.findIndex((row) => !sameShape(row.shape, shape));
  if (odd > 0) {
    const shapes = `${showShape(shape)} at [0] and ${showShape(rows[odd].shape)} at [${odd}]`;
    throw new Error(`${who}: expected rows of one shape, got ${shapes}`);
  }
  return { numbers: rows.flatMap((row) => Array.from(row.numbers)), shape: [rows.length, ...shape] };
}
