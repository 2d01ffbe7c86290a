import { join } from "node:path";
import { type HostTensor, openTorch, Scope, stateDict } from "../../../core/index.ts";
import { inDType } from "../../../nn/index.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { type FlowConfig, fromNoise, netOf } from "./builders.ts";
import { Golden, type GoldenCase, scaled } from "./golden.ts";

interface CheckpointCase extends GoldenCase {
  readonly config: FlowConfig;
  readonly state_dict_order: readonly string[];
  /** A PyTorch checkpoint with the tensors of the safetensors file beside it. */
  readonly ckpt_file: string;
}

/**
 * A Lightning checkpoint: names and their order, every stored number, and what the flow makes of weights and averages.
 */
export function checkpointCase(dir: string, one: CheckpointCase): (() => ParityResult) | undefined {
  const make = netOf(one.config);
  if (!make) return undefined;
  return () => {
    using _ = new Scope();
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    using file = openTorch(join(dir, one.ckpt_file), "checkpoint");
    for (const [weights, prefix, out] of [
      ["model", "state.", "out.inverse"],
      ["ema", "ema.", "out.inverse_ema"],
    ] as const) {
      const refs = stateDict(file, { weights });
      const dict = new Map<string, HostTensor>([...refs].map(([name, ref]) => [name, file.read(ref)]));
      if ([...dict.keys()].join() !== one.state_dict_order.join())
        throw new Error(`${one.ckpt_file}: names or their order differ from state_dict_order`);
      for (const [name, { dtype, data }] of dict) {
        const expected = golden.host(prefix + name);
        if (dtype !== expected.dtype) throw new Error(`${name}: expected ${expected.dtype}, got ${dtype}`);
        worst.compare(
          prefix + name,
          Array.from(data, Number),
          Array.from(expected.data, Number),
          Number.MIN_VALUE,
        );
      }
      const flow = inDType("float32", make).load(dict, { prefix: "nf." });
      const stored = one.state_dict_order.filter((name) => name.startsWith("nf."));
      if ([...flow.namedTensors("nf.")].map(([name]) => name).join() !== stored.join())
        throw new Error("names or their order differ from the checkpoint's");
      const actions = fromNoise(flow, golden.tensor("in.z", "float32"), golden.tensor("in.cond", "float32"));
      const expected = golden.numbers(out);
      // Both are float32 results.
      worst.compare(out, actions.data, expected, scaled(4e-5, expected));
      flow.dispose();
    }
    return worst.result();
  };
}
