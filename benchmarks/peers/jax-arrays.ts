import type { ArrayLibrary } from "./network.ts";

interface JaxArray {
  readonly shape: number[];
  /** Every use consumes a reference; this makes one more. */
  readonly ref: JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  slice(...index: ([] | [number, number])[]): JaxArray;
  dataSync(): Float32Array;
}

interface Jax {
  init(device: string): Promise<unknown>;
  defaultDevice(device: string): unknown;
  jit(body: (...xs: JaxArray[]) => JaxArray): (...xs: JaxArray[]) => JaxArray;
  readonly numpy: {
    readonly int32: unknown;
    array(data: Float32Array | Int32Array, options?: object): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    add(a: JaxArray, b: JaxArray): JaxArray;
    subtract(a: JaxArray, b: JaxArray): JaxArray;
    multiply(a: JaxArray, b: JaxArray | number): JaxArray;
    exp(x: JaxArray): JaxArray;
    tanh(x: JaxArray): JaxArray;
    concatenate(parts: JaxArray[], axis: number): JaxArray;
    take(x: JaxArray, indices: JaxArray, axis: number): JaxArray;
    transpose(x: JaxArray, order: readonly number[]): JaxArray;
  };
  readonly nn: {
    softmax(x: JaxArray): JaxArray;
    standardize(x: JaxArray): JaxArray;
    gelu(x: JaxArray, options: { approximate: boolean }): JaxArray;
  };
}

/** jax-js on its WebAssembly backend, the whole network under `jit`: one thread in Node. */
export async function jaxArrays(): Promise<ArrayLibrary<JaxArray>> {
  const name = "@jax-js/jax"; // a variable, since the root project does not have its types
  const { init, defaultDevice, jit, numpy: np, nn } = (await import(name)) as Jax;
  await init("wasm");
  defaultDevice("wasm");
  return {
    name: "jax-js",
    constant: (data, shape) => np.array(Float32Array.from(data)).reshape(shape),
    indices: (data) => np.array(Int32Array.from(data), { dtype: np.int32 }),
    matmul: (a, b) => np.matmul(a.ref, b.ref),
    add: (a, b) => np.add(a.ref, b.ref),
    sub: (a, b) => np.subtract(a.ref, b.ref),
    mul: (a, b) => np.multiply(a.ref, b.ref),
    scale: (a, by) => np.multiply(a.ref, by),
    exp: (a) => np.exp(a.ref),
    tanh: (a) => np.tanh(a.ref),
    gelu: (a) => nn.gelu(a.ref, { approximate: false }),
    softmax: (a) => nn.softmax(a.ref),
    layerNorm: (a, gain, bias) => np.add(np.multiply(nn.standardize(a.ref), gain.ref), bias.ref),
    concat: (parts, axis) =>
      np.concatenate(
        parts.map((part) => part.ref),
        axis,
      ),
    slice: (a, axis, start, size) =>
      a.ref.slice(...a.shape.map((_, i): [] | [number, number] => (i === axis ? [start, start + size] : []))),
    take: (a, indices, axis) => np.take(a.ref, indices.ref, axis),
    reshape: (a, shape) => a.ref.reshape(shape),
    transpose: (a, order) => np.transpose(a.ref, order),
    compile(body, [shapeZ, shapeC]) {
      const network = jit(body);
      return (z, condition) =>
        network(np.array(z).reshape(shapeZ), np.array(condition).reshape(shapeC)).dataSync();
    },
  };
}
