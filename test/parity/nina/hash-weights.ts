import { fnv1a } from "../../../benchmarks/generated-weights.ts";
import { type HostTensor, type LazyTensor, Tensor, tidy } from "../../../core/index.ts";
import { InvertiblePLU } from "../../../flows/index.ts";
import { inDType, type Module } from "../../../nn/index.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { type FlowConfig, netOf } from "./builders.ts";
import { compareDirections } from "./flow.ts";
import { Golden, type GoldenCase } from "./golden.ts";

interface HashCase extends GoldenCase {
  readonly config: FlowConfig;
  readonly case_seed: number;
  readonly params_total: number;
  readonly params_trainable: number;
  /** A weight whose first numbers the golden file holds. */
  readonly probe: string;
}

/** A full-size flow whose weights are not stored but made from their names: counts, probes, both directions. */
export function hashWeightsCase(dir: string, one: HashCase): (() => ParityResult) | undefined {
  const make = netOf(one.config);
  if (!make) return undefined;
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    for (const precision of ["float64", "float32"] as const) {
      tidy(() => {
        const flow = inDType(precision, make);
        const total = flow.countParameters({ frozen: true });
        worst.add("parameters", Math.abs(total - one.params_total), Number.MIN_VALUE);
        worst.add("trainable", Math.abs(flow.countParameters() - one.params_trainable), Number.MIN_VALUE);
        const state = hashState(flow, "nf.", one.case_seed);
        flow.load(state, { prefix: "nf." });

        const head = golden.numbers("probe.weight_head");
        const made = state.get(one.probe)?.read() as Float32Array;
        worst.compare("weights made", made.subarray(0, head.length), head, Number.MIN_VALUE);
        if (golden.has("probe.perm0")) {
          const [perm, expected] = [state.get("nf.layers.0.perm")?.read(), golden.host("probe.perm0").data];
          const list = (values: Iterable<bigint>): number[] => Array.from(values, Number);
          worst.compare(
            "permutation made",
            list(perm as BigInt64Array),
            list(expected as BigInt64Array),
            Number.MIN_VALUE,
          );
        }
        const plu = flow.layers.find((layer) => layer instanceof InvertiblePLU);
        if (plu && golden.has("probe.plu_W")) {
          const N = plu.s.size;
          const unit = Float64Array.from({ length: N * N }, (_, i) => (i % (N + 1) === 0 ? 1 : 0));
          const matrix = plu.forward(Tensor.from(unit, [N, N], precision)).out;
          worst.compare(`${precision} plu_W`, matrix.data, golden.numbers("probe.plu_W"), 1e-6);
        }
        compareDirections(flow, golden, one, precision, worst, 2e-4);
        flow.dispose();
      });
    }
    return worst.result();
  };
}

/** Values for every tensor of a module, made from its full name by the rules of the manifest when they are read. */
export function hashState(module: Module, prefix: string, seed: number): Map<string, LazyTensor> {
  const state = new Map<string, LazyTensor>();
  for (const [own, { shape, dtype }] of module.namedTensors()) {
    const name = prefix + own;
    state.set(name, {
      shape: [...shape],
      dtype: dtype === "int32" ? "I64" : "F32",
      read: () => values(name, shape, seed),
    });
  }
  return state;
}

function values(name: string, shape: readonly number[], seed: number): HostTensor["data"] {
  const count = shape.reduce((product, length) => product * length, 1);
  const draw = (of: string, length = count): Float64Array => uniforms(of, seed, length);
  const floats = (f: (r: number, i: number) => number): Float32Array => {
    const [drawn, data] = [draw(name), new Float32Array(count)];
    for (let i = 0; i < count; i++) data[i] = f(drawn[i], i);
    return data;
  };
  const last = name.slice(name.lastIndexOf(".") + 1);
  const of = (word: string): string => name.slice(0, -last.length) + word;
  const integers = (list: number[]): BigInt64Array => BigInt64Array.from(list, BigInt);
  switch (last) {
    case "perm":
      return integers(ascending(draw(name)));
    case "inv_perm":
      return integers(ascending(ascending(draw(of("perm")))));
    case "P":
    case "P_inv": {
      const D = shape[0];
      const data = new Float32Array(D * D);
      ascending(draw(of("P"), D)).forEach((column, row) => {
        data[last === "P" ? row * D + column : column * D + row] = 1;
      });
      return data;
    }
    case "s":
      return floats((r, i) => (0.8 + 0.4 * r) * (i % 3 === 1 ? -1 : 1));
    case "L":
    case "U":
      return floats((r) => ((2 * r - 1) * 0.3) / Math.sqrt(shape[0]));
  }
  if (shape.length === 1) {
    return last === "weight" ? floats((r) => 1 + 0.2 * (2 * r - 1)) : floats((r) => 0.1 * (2 * r - 1));
  }
  if (shape.length === 2 && last.endsWith("weight")) return floats((r) => (2 * r - 1) / Math.sqrt(shape[1]));
  return floats((r) => 0.02 * (2 * r - 1));
}

/** Numbers in [0, 1): a counter-based hash of the name and the seed. */
export function uniforms(name: string, seed: number, count: number): Float64Array {
  const start = (fnv1a(name) ^ seed) >>> 0;
  const drawn = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const a = (start + Math.imul(i + 1, 0x6d2b79f5)) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    drawn[i] = ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  return drawn;
}

/** Indices that sort the list, equal ones in order. */
const ascending = (list: ArrayLike<number>): number[] =>
  Array.from(list, (_, i) => i).sort((a, b) => list[a] - list[b]);
