import {
  checkDType,
  checkFinite,
  checkFunction,
  checkPositive,
  checkShape,
  type DType,
  type Random,
  refuse,
  type Shape,
  showShape,
  sizeOf,
  Tensor,
  unscoped,
} from "../core/index.ts";

/** Fills a tensor with starting values. */
export type Initialiser = (tensor: Tensor, random: Random) => void;

const initialisers = new WeakMap<Tensor, Initialiser>();
const made: { dtype: DType } = { dtype: "float32" };

/** Builds modules whose floating-point tensors have the given dtype: `inDType("float64", () => new Flow(config))`. */
export function inDType<T>(dtype: "float32" | "float64", make: () => T): T {
  if (dtype !== "float32" && dtype !== "float64") refuse("inDType", "float32 or float64", dtype);
  checkFunction(make, "inDType", "make");
  const before = made.dtype;
  made.dtype = dtype;
  try {
    return make();
  } finally {
    made.dtype = before;
  }
}

/** What is declared inside `buildWithin`. */
let building: { readonly most: number; count: number; readonly tensors: Tensor[] } | null = null;

/**
 * Builds modules of sizes that come out of a file: throws before they hold more than `most` numbers, and gives back the
 * memory of all of them when `make` throws, for whatever reason.
 */
export function buildWithin<T>(most: number, make: () => T): T {
  const before = building;
  const mine = { most, count: 0, tensors: [] as Tensor[] };
  building = mine;
  try {
    return make();
  } catch (error) {
    for (const tensor of mine.tensors) tensor.dispose();
    throw error;
  } finally {
    building = before;
  }
}

/** What floating-point tensors are now declared as: see `inDType`. */
export const declaredDType = (): DType => made.dtype;

function declare(who: string, shape: Shape, init: Initialiser, dtype: DType): Tensor {
  checkShape(shape, who);
  checkDType(dtype, who);
  checkFunction(init, who, "the initialiser");
  // NaN until `init` or `load` has run: a forgotten one shows at once.
  const tensor = counted(who, shape, () => Tensor.full(shape, dtype === "int32" ? 0 : Number.NaN, dtype));
  initialisers.set(tensor, init);
  return tensor;
}

/** Makes a tensor of a module, of so many numbers as the shape has: outside all scopes, counted by `buildWithin`. */
export function counted(who: string, shape: Shape, make: () => Tensor): Tensor {
  if (building && (building.count += sizeOf(shape)) > building.most) {
    throw new Error(
      `${who}: expected at most ${building.most} numbers in all, got more with one of ${showShape(shape)}`,
    );
  }
  const tensor = unscoped(make);
  building?.tensors.push(tensor);
  return tensor;
}

/** A trainable tensor. It lives until its module is disposed, whatever scope is open. */
export const parameter = (shape: Shape, init: Initialiser): Tensor =>
  declare("parameter", shape, init, made.dtype).tracked();

/** A tensor that belongs to the state but is not trained. */
export const buffer = (shape: Shape, init: Initialiser, dtype: DType = made.dtype): Tensor =>
  declare("buffer", shape, init, dtype);

export const initialiserOf = (tensor: Tensor): Initialiser | undefined => initialisers.get(tensor);

export function constant(value: number): Initialiser {
  checkFinite(value, "constant", "the value");
  return (tensor) => tensor.fill(value);
}

/** Uniform in [−bound, bound). */
export function uniform(bound: number): Initialiser {
  checkFinite(bound, "uniform", "the bound", 0);
  return (tensor, random) =>
    tensor.write(Float64Array.from({ length: tensor.size }, () => bound * (2 * random.uniform() - 1)));
}

/** PyTorch's default for linear layers, weight and bias alike: uniform in ±1/√fanIn. */
export function fanIn(inputs: number): Initialiser {
  checkPositive(inputs, "fanIn", "inputs");
  return uniform(1 / Math.sqrt(inputs));
}

/** Xavier uniform (Glorot and Bengio, 2010): ±√(6 / (fanIn + fanOut)). */
export function xavier(inputs: number, outputs: number): Initialiser {
  checkPositive(inputs, "xavier", "inputs");
  checkPositive(outputs, "xavier", "outputs");
  return uniform(Math.sqrt(6 / (inputs + outputs)));
}

/** Normal with mean 0 and the given standard deviation. */
export function gaussian(deviation: number): Initialiser {
  checkFinite(deviation, "gaussian", "the deviation", 0);
  return (tensor, random) =>
    tensor.write(Float64Array.from({ length: tensor.size }, () => deviation * random.normal()));
}
