import { createRequire } from "node:module";
import { onnxModel } from "../onnx.ts";
import type { Peer, Work } from "./peer.ts";

interface OrtTensor {
  readonly data: Float32Array;
}

interface Ort {
  readonly env: { readonly wasm: { numThreads: number }; logLevel: string };
  readonly Tensor: new (type: "float32", data: Float32Array, shape: number[]) => OrtTensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<{ run(feeds: object): Promise<{ y: OrtTensor }> }>;
  };
}

/** ONNX Runtime: its WebAssembly build, or the native one as a reference. */
export async function openOnnxruntime(build: "web" | "node"): Promise<Peer> {
  const require = createRequire(import.meta.url);
  // Both builds register their backends in one shared package, where "cpu" can only be one of them: each gets its own
  // copy.
  for (const path of Object.keys(require.cache)) {
    if (path.includes("onnxruntime-")) Reflect.deleteProperty(require.cache, path);
  }
  const ort = require(`onnxruntime-${build}`) as Ort;
  if (build === "web") ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  return {
    name: `onnxruntime-${build}`,
    threads: 1,
    native: build === "node",
    async prepare(work) {
      const shape = work.kind === "matmul" ? [work.M, work.K] : [work.rows, work.columns];
      const session = await ort.InferenceSession.create(modelOf(work, shape), {
        executionProviders: [build === "web" ? "wasm" : "cpu"],
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
      });
      // The web build defines a global Worker, by which jax-js would choose another kind of memory halfway.
      if (build === "web") Reflect.deleteProperty(globalThis, "Worker");
      const x = new ort.Tensor("float32", work.x, shape);
      return async () => (await session.run({ x })).y.data[0];
    },
  };
}

function modelOf(work: Work, input: readonly number[]): Uint8Array {
  switch (work.kind) {
    case "matmul": {
      const constants = [{ shape: [work.K, work.N], data: work.weight }];
      return onnxModel({ op: "MatMul", input, output: [work.M, work.N], constants });
    }
    case "softmax":
      return onnxModel({ op: "Softmax", input, output: input });
    case "gelu":
      return onnxModel({ op: "Gelu", input, output: input });
    case "layerNorm": {
      const constants = [1, 0].map((value) => ({
        shape: [work.columns],
        data: new Float32Array(work.columns).fill(value),
      }));
      return onnxModel({ op: "LayerNormalization", input, output: input, constants });
    }
  }
}
