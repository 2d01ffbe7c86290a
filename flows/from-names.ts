import { type DTypeName, type Shape, showShape } from "../core/index.ts";
import { ActNorm } from "./act-norm.ts";
import { AdditiveCoupling } from "./additive-coupling.ts";
import { AffineCoupling } from "./affine-coupling.ts";
import type { Bijector } from "./bijector.ts";
import { MlpConditioner, type MlpConditionerConfig } from "./conditioner.ts";
import { Flow } from "./flow.ts";
import { type Base, DiagonalNormal, StandardNormal } from "./normal.ts";
import { Permutation } from "./permutation.ts";
import { InvertiblePLU } from "./plu.ts";

/** What can be read off a checkpoint: how to build its flow, where its tensors are, how wide its condition is. */
export interface FlowPlan {
  readonly make: () => Flow;
  /** Stands before `layers.0.…` in the names. */
  readonly prefix: string;
  /** 0 for an unconditional flow. */
  readonly condition: number;
}

type Shapes = ReadonlyMap<string, Shape>;
type Tensors = ReadonlyMap<string, { readonly dtype: DTypeName; readonly shape: Shape }>;

/** A kind of layer that its tensors' names give away. */
interface LayerKind {
  readonly names: readonly string[];
  /** Builds the layer from the shapes of those names. */
  make(shapes: (name: string) => Shape): Bijector;
  /** Entries of its event. */
  event(shapes: (name: string) => Shape): number;
  /** Its conditioner, where it has one. */
  readonly net?: string;
}

/** Names of an `MlpConditioner` in the field `net`. */
const mlp = (net: string): string[] =>
  [0, 1, 3, 4, 6].flatMap((i) => [`${net}.net.${i}.weight`, `${net}.net.${i}.bias`]);

/** Half of the event stays, so the conditioner gives as many numbers as there are in the other half. */
function conditioner(net: string, shapes: (name: string) => Shape): MlpConditionerConfig {
  const [width, inputs] = shapes(`${net}.net.0.weight`);
  const [outputs] = shapes(`${net}.net.6.weight`);
  return { kept: outputs, condition: inputs - outputs, width, outputs };
}

const KINDS: readonly LayerKind[] = [
  {
    names: ["perm", "inv_perm"],
    make: (shapes) => new Permutation(shapes("perm")[0]),
    event: (shapes) => shapes("perm")[0],
  },
  {
    names: ["s", "U", "L", "P", "P_inv"],
    make: (shapes) => new InvertiblePLU(shapes("s")[0]),
    event: (shapes) => shapes("s")[0],
  },
  {
    names: ["log_scale", "shift"],
    make: (shapes) => new ActNorm(shapes("shift")[0]),
    event: (shapes) => shapes("shift")[0],
  },
  {
    names: [...mlp("scale_net"), ...mlp("shift_net")],
    make: (shapes) =>
      new AffineCoupling(
        new MlpConditioner(conditioner("scale_net", shapes)),
        new MlpConditioner(conditioner("shift_net", shapes)),
      ),
    event: (shapes) => 2 * shapes("shift_net.net.6.weight")[0],
    net: "shift_net",
  },
  {
    names: mlp("shift_net"),
    make: (shapes) => new AdditiveCoupling(new MlpConditioner(conditioner("shift_net", shapes))),
    event: (shapes) => 2 * shapes("shift_net.net.6.weight")[0],
    net: "shift_net",
  },
];

/**
 * Reads a flow over vectors off the names and shapes of a checkpoint's tensors, `PREFIXlayers.NUMBER.REST`. Knows
 * permutations, PLU, ActNorm, affine and additive couplings of halves with `MlpConditioner`s, and both bases: NinA's
 * MLP flow among others. Other tensors may stand beside it. Throws when no flow is found, or several and no `prefix` is given.
 */
export function flowFromNames(tensors: Tensors, prefix?: string): FlowPlan {
  if (prefix !== undefined) return planUnder(tensors, prefix);
  const candidates = new Set<string>();
  for (const name of tensors.keys()) {
    const start = name.search(/(?<![^.])layers\.0\./);
    if (start >= 0) candidates.add(name.slice(0, start));
  }
  const plans: FlowPlan[] = [];
  const reasons: string[] = [];
  for (const candidate of candidates) {
    try {
      plans.push(planUnder(tensors, candidate));
    } catch (error) {
      reasons.push((error as Error).message); // not a flow, such as the layers of a text encoder; told if none is one
    }
  }
  if (plans.length === 1) return plans[0];
  if (plans.length > 1) {
    const list = plans.map((plan) => JSON.stringify(plan.prefix)).join(", ");
    throw new Error(`flowFromNames: expected one flow, found several; choose one of the prefixes ${list}`);
  }
  throw new Error(reasons[0] ?? "flowFromNames: expected tensors named …layers.0.…, found none");
}

function planUnder(tensors: Tensors, prefix: string): FlowPlan {
  const layers: Map<string, Shape>[] = [];
  for (const [name, { shape }] of tensors) {
    if (!name.startsWith(`${prefix}layers.`)) continue;
    const parts = name.slice(prefix.length).match(/^layers\.(\d+)\.(.+)$/);
    if (!parts) throw new Error(`flowFromNames: ${name}: expected ${prefix}layers.NUMBER.…`);
    const index = Number(parts[1]);
    if (index > tensors.size) throw new Error(`flowFromNames: ${name}: layers are missing before it`);
    (layers[index] ??= new Map()).set(parts[2], shape);
  }
  if (layers.length === 0)
    throw new Error(`flowFromNames: expected tensors named ${prefix}layers.0.…, found none`);
  const plans = Array.from(layers, (shapes, i) => planLayer(shapes, `${prefix}layers.${i}`));
  const N = plans[0].event;
  const odd = plans.find(({ event }) => event !== N);
  if (odd)
    throw new Error(`flowFromNames: ${odd.name} works on ${odd.event} entries, the first layer on ${N}`);
  const base = (): Base =>
    tensors.has(`${prefix}base.log_std`) ? new DiagonalNormal([N]) : new StandardNormal([N]);
  return {
    make: () =>
      new Flow(
        plans.map(({ make }) => make()),
        base(),
      ),
    prefix,
    condition: Math.max(...plans.map(({ condition }) => condition)),
  };
}

function planLayer(
  shapes: Shapes | undefined,
  name: string,
): { name: string; make: () => Bijector; event: number; condition: number } {
  const names = [...(shapes?.keys() ?? [])];
  const kind = KINDS.find(
    (one) => one.names.length === names.length && one.names.every((n) => shapes?.has(n)),
  );
  if (!shapes || !kind) {
    const some = names.slice(0, 6).map((n) => `${n} ${showShape(shapes?.get(n) ?? [])}`);
    throw new Error(
      `flowFromNames: ${name}: no known layer has the tensors ${some.join(", ") || "(none)"}; ` +
        "build the flow yourself where names do not tell it",
    );
  }
  const shape = (of: string): Shape => shapes.get(of) as Shape;
  return {
    name,
    make: () => kind.make(shape),
    event: kind.event(shape),
    condition: kind.net ? conditioner(kind.net, shape).condition : 0,
  };
}
