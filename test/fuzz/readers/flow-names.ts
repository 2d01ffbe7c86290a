import { type LazyTensor, lazyTensors, openSafetensors, Random, Scope, toHost } from "../../../core/index.ts";
import { flowFromNames } from "../../../flows/from-names.ts";
import { MlpDecoder } from "../../../vla/nina/mlp.ts";
import type { Reader } from "../reader.ts";
import { safetensorsHeader } from "../structure.ts";
import { safetensorsFile } from "./safetensors.ts";

const FILE = "flow.safetensors";
const SIZES = {
  steps: 1,
  actionWidth: 4,
  features: 2,
  condition: 2,
  width: 2,
  plu: true,
  tokenDropout: 0,
  actionNoise: 0,
};

/** A checkpoint of NinA's MLP flow at the smallest size. */
function seed(blocks: number): { file: string; bytes: Buffer } {
  using _ = new Scope();
  const decoder = new MlpDecoder({ ...SIZES, blocks }).init(new Random(1));
  const header: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, tensor] of decoder.namedTensors()) {
    const { dtype, shape, data } = toHost(tensor);
    header[name] = { dtype, shape, data_offsets: [at, (at += data.byteLength)] };
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return { file: FILE, bytes: safetensorsFile(header, Buffer.concat(parts)) };
}

/** The flow that `certify` reads off the names and shapes of a checkpoint's tensors. */
const reader: Reader = {
  seeds: [seed(1), seed(2)],
  mutations: [safetensorsHeader],
  prepare: () => (path) => {
    using file = openSafetensors(path);
    try {
      return describe(lazyTensors(file));
    } catch (error) {
      // Who reads names sees no path: naming the file is left to those who know it.
      if ((error as Error).constructor !== Error) throw error;
      throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
    }
  },
};

export default reader;

function describe(tensors: ReadonlyMap<string, LazyTensor>): string {
  const { make, prefix, condition } = flowFromNames(tensors);
  using _ = new Scope();
  const flow = make();
  flow.load(tensors, { prefix });
  return `${flow.layers.length} layers, condition ${condition}`;
}
