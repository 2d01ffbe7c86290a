import { createRequire } from "node:module";
import { dirname } from "node:path";
import type { ArrayLibrary } from "./network.ts";

interface TfTensor {
  readonly shape: number[];
  dataSync(): Float32Array;
  dispose(): void;
}

interface Tf {
  setBackend(name: string): Promise<boolean>;
  tensor(data: ArrayLike<number>, shape: readonly number[], dtype?: "int32"): TfTensor;
  tidy(body: () => TfTensor): TfTensor;
  matMul(a: TfTensor, b: TfTensor): TfTensor;
  add(a: TfTensor, b: TfTensor | number): TfTensor;
  sub(a: TfTensor, b: TfTensor): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  exp(x: TfTensor): TfTensor;
  tanh(x: TfTensor): TfTensor;
  erf(x: TfTensor): TfTensor;
  softmax(x: TfTensor): TfTensor;
  mean(x: TfTensor, axis: number, keepDims: boolean): TfTensor;
  square(x: TfTensor): TfTensor;
  rsqrt(x: TfTensor): TfTensor;
  concat(parts: readonly TfTensor[], axis: number): TfTensor;
  slice(x: TfTensor, begin: number[], size: number[]): TfTensor;
  gather(x: TfTensor, indices: TfTensor, axis: number): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  transpose(x: TfTensor, order: readonly number[]): TfTensor;
}

/** TensorFlow.js on its WebAssembly backend: one thread in Node. */
export async function tfjsArrays(): Promise<ArrayLibrary<TfTensor>> {
  const require = createRequire(import.meta.url);
  const tf = require("@tensorflow/tfjs-core") as Tf;
  const wasm = require("@tensorflow/tfjs-backend-wasm") as { setWasmPaths(path: string): void };
  wasm.setWasmPaths(`${dirname(require.resolve("@tensorflow/tfjs-backend-wasm"))}/`);
  if (!(await tf.setBackend("wasm"))) throw new Error("tfjs: the wasm backend did not start");
  return {
    name: "tfjs-wasm",
    constant: (data, shape) => tf.tensor(Float32Array.from(data), shape),
    indices: (data) => tf.tensor(Int32Array.from(data), [data.length], "int32"),
    matmul: tf.matMul,
    add: tf.add,
    sub: tf.sub,
    mul: tf.mul,
    scale: (a, by) => tf.mul(a, by),
    exp: tf.exp,
    tanh: tf.tanh,
    gelu: (a) => tf.mul(tf.mul(a, 0.5), tf.add(tf.erf(tf.mul(a, Math.SQRT1_2)), 1)),
    softmax: tf.softmax,
    layerNorm(a, gain, bias) {
      const centred = tf.sub(a, tf.mean(a, -1, true));
      const variance = tf.mean(tf.square(centred), -1, true);
      return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, 1e-5))), gain), bias);
    },
    concat: tf.concat,
    slice(a, axis, start, size) {
      const whole = a.shape.map(() => 0);
      return tf.slice(a, whole.with(axis, start), a.shape.with(axis, size));
    },
    take: tf.gather,
    reshape: tf.reshape,
    transpose: tf.transpose,
    compile:
      (body, [shapeZ, shapeC]) =>
      (z, condition) => {
        const out = tf.tidy(() => body(tf.tensor(z, shapeZ), tf.tensor(condition, shapeC)));
        const data = out.dataSync();
        out.dispose();
        return data;
      },
  };
}
