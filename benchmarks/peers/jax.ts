import type { Peer } from "./peer.ts";

interface JaxArray {
  readonly ref: JaxArray;
  reshape(shape: number[]): JaxArray;
  dataSync(): Float32Array;
}

interface Jax {
  init(device: string): Promise<unknown>;
  defaultDevice(device: string): unknown;
  jit(body: (...xs: JaxArray[]) => JaxArray): (...xs: JaxArray[]) => JaxArray;
  readonly numpy: {
    array(data: Float32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    add(a: JaxArray, b: JaxArray): JaxArray;
    multiply(a: JaxArray, b: JaxArray): JaxArray;
  };
  readonly nn: {
    softmax(x: JaxArray): JaxArray;
    standardize(x: JaxArray): JaxArray;
    gelu(x: JaxArray, options: { approximate: boolean }): JaxArray;
  };
}

/** jax-js on its WebAssembly backend, which emits kernels at run time: one thread in Node. */
export async function openJax(): Promise<Peer> {
  const name = "@jax-js/jax"; // a variable, since the root project does not have its types
  const { init, defaultDevice, jit, numpy: np, nn } = (await import(name)) as Jax;
  await init("wasm");
  defaultDevice("wasm");
  const array = (data: Float32Array, shape: number[]) => np.array(data).reshape(shape);
  return {
    name: "jax-js",
    threads: 1,
    native: false,
    async prepare(work) {
      if (work.kind === "matmul") {
        const [x, weight] = [array(work.x, [work.M, work.K]), array(work.weight, [work.K, work.N])];
        const product = jit((a, b) => np.matmul(a, b));
        return () => product(x.ref, weight.ref).dataSync()[0];
      }
      const x = array(work.x, [work.rows, work.columns]);
      switch (work.kind) {
        case "softmax": {
          const softmax = jit((a) => nn.softmax(a));
          return () => softmax(x.ref).dataSync()[0];
        }
        case "gelu": {
          const gelu = jit((a) => nn.gelu(a, { approximate: false }));
          return () => gelu(x.ref).dataSync()[0];
        }
        case "layerNorm": {
          const [gain, bias] = [1, 0].map((value) => np.array(new Float32Array(work.columns).fill(value)));
          const norm = jit((a, g, b) => np.add(np.multiply(nn.standardize(a), g), b));
          return () => norm(x.ref, gain.ref, bias.ref).dataSync()[0];
        }
      }
    },
  };
}
