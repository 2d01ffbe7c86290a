import { createRequire } from "node:module";
import { dirname } from "node:path";
import type { Peer } from "./peer.ts";

interface TfTensor {
  dataSync(): Float32Array;
  dispose(): void;
}

interface Tf {
  setBackend(name: string): Promise<boolean>;
  tensor(data: Float32Array, shape: number[]): TfTensor;
  tidy(body: () => TfTensor): TfTensor;
  matMul(a: TfTensor, b: TfTensor): TfTensor;
  softmax(x: TfTensor): TfTensor;
  erf(x: TfTensor): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  add(a: TfTensor, b: TfTensor | number): TfTensor;
  sub(a: TfTensor, b: TfTensor): TfTensor;
  mean(x: TfTensor, axis: number, keepDims: boolean): TfTensor;
  square(x: TfTensor): TfTensor;
  rsqrt(x: TfTensor): TfTensor;
}

/** TensorFlow.js on its WebAssembly backend: one thread in Node, kernels compiled ahead of time. */
export async function openTfjs(): Promise<Peer> {
  const require = createRequire(import.meta.url);
  const tf = require("@tensorflow/tfjs-core") as Tf;
  const wasm = require("@tensorflow/tfjs-backend-wasm") as { setWasmPaths(path: string): void };
  wasm.setWasmPaths(`${dirname(require.resolve("@tensorflow/tfjs-backend-wasm"))}/`);
  if (!(await tf.setBackend("wasm"))) throw new Error("tfjs: the wasm backend did not start");

  const first = (y: TfTensor): number => {
    const value = y.dataSync()[0];
    y.dispose();
    return value;
  };
  return {
    name: "tfjs-wasm",
    threads: 1,
    native: false,
    async prepare(work) {
      if (work.kind === "matmul") {
        const x = tf.tensor(work.x, [work.M, work.K]);
        const weight = tf.tensor(work.weight, [work.K, work.N]);
        return () => first(tf.matMul(x, weight));
      }
      const x = tf.tensor(work.x, [work.rows, work.columns]);
      switch (work.kind) {
        case "softmax":
          return () => first(tf.tidy(() => tf.softmax(x)));
        case "gelu":
          return () =>
            first(tf.tidy(() => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))));
        case "layerNorm": {
          const gain = tf.tensor(new Float32Array(work.columns).fill(1), [work.columns]);
          const bias = tf.tensor(new Float32Array(work.columns), [work.columns]);
          return () =>
            first(
              tf.tidy(() => {
                const centred = tf.sub(x, tf.mean(x, -1, true));
                const variance = tf.mean(tf.square(centred), -1, true);
                return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, 1e-5))), gain), bias);
              }),
            );
        }
      }
    },
  };
}
