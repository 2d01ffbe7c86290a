import { type DTypeName, FormatError, printable, type Shape, sameShape, showShape } from "../core/index.ts";
import { ActNorm } from "./act-norm.ts";
import { AdditiveCoupling } from "./additive-coupling.ts";
import { AffineCoupling } from "./affine-coupling.ts";
import type { Bijector } from "./bijector.ts";
import { BoxUniform } from "./box-uniform.ts";
import { MlpConditioner, type MlpConditionerConfig } from "./conditioner.ts";
import { Flow } from "./flow.ts";
import { Made, type MadeConfig } from "./made.ts";
import { MaskedAutoregressive } from "./masked-autoregressive.ts";
import { type Base, DiagonalNormal, StandardNormal } from "./normal.ts";
import { NormalMixture } from "./normal-mixture.ts";
import { Permutation } from "./permutation.ts";
import { Planar } from "./planar.ts";
import { InvertiblePLU } from "./plu.ts";

/** How to build a checkpoint's flow, where its tensors are, how wide its condition is. */
export interface FlowOutline {
  /** Builds the flow anew at each call: it is wanted once per precision. */
  readonly make: () => Flow;
  /** Stands before `layers.0.…` in the names; nothing unless given. */
  readonly prefix?: string;
  /** 0, for an unconditional flow, unless given. */
  readonly condition?: number;
}

type Shapes = ReadonlyMap<string, Shape>;
type Tensors = ReadonlyMap<string, { readonly dtype: DTypeName; readonly shape: Shape }>;

type ShapeOf = (name: string) => Shape;

/** A kind of layer that its tensors' names give away. */
interface LayerKind {
  readonly names: readonly string[];
  /** What the shapes of those names must be, by the sizes that some of them tell. */
  expected(shapeOf: ShapeOf): Readonly<Record<string, Shape>>;
  /** Builds the layer. */
  make(shapeOf: ShapeOf): Bijector;
  /** Entries of its event. */
  event(shapeOf: ShapeOf): number;
  /** Its conditioners. */
  readonly nets?: readonly string[];
  /** Width of its condition, where conditioners do not tell it. */
  condition?(shapeOf: ShapeOf): number;
}

/** The length of an axis, 0 where there is none. */
const length = (shape: Shape, axis: number): number => shape[axis] ?? 0;

/** Names of an `MlpConditioner` in the field `net`. */
const mlp = (net: string): string[] =>
  [0, 1, 3, 4, 6].flatMap((i) => [`${net}.net.${i}.weight`, `${net}.net.${i}.bias`]);

/** Half of the event stays, so the conditioner gives as many numbers as there are in the other half. */
function conditioner(net: string, shapeOf: ShapeOf): MlpConditionerConfig {
  const first = shapeOf(`${net}.net.0.weight`);
  const outputs = length(shapeOf(`${net}.net.6.weight`), 0);
  return { kept: outputs, condition: length(first, 1) - outputs, width: length(first, 0), outputs };
}

/** Its tensors' shapes. */
function mlpShapes(net: string, shapeOf: ShapeOf): Record<string, Shape> {
  const { kept, condition, width, outputs } = conditioner(net, shapeOf);
  const linear = (rows: number, columns: number): Shape[] => [[rows, columns], [rows]];
  const norm: Shape[] = [[width], [width]];
  const first = linear(width, kept + condition);
  const shapes = [...first, ...norm, ...linear(width, width), ...norm, ...linear(outputs, width)];
  return Object.fromEntries(mlp(net).map((name, i) => [name, shapes[i]]));
}

/**
 * The config of a `Made` in the field `net`: two numbers per entry of the event, and what its inputs have beside those.
 */
function made(shapeOf: ShapeOf): MadeConfig {
  const [first, last] = [shapeOf("net.layers.0.weight"), shapeOf("net.layers.2.weight")];
  const size = Math.floor(length(last, 0) / 2);
  return { size, condition: length(first, 1) - size, width: length(first, 0) };
}

const KINDS: readonly LayerKind[] = [
  {
    names: ["perm", "inv_perm"],
    expected(shapeOf) {
      const N = this.event(shapeOf);
      return { perm: [N], inv_perm: [N] };
    },
    make: (shapeOf) => new Permutation(length(shapeOf("perm"), 0)),
    event: (shapeOf) => length(shapeOf("perm"), 0),
  },
  {
    names: ["s", "U", "L", "P", "P_inv"],
    expected(shapeOf) {
      const N = this.event(shapeOf);
      return { s: [N], U: [N, N], L: [N, N], P: [N, N], P_inv: [N, N] };
    },
    make: (shapeOf) => new InvertiblePLU(length(shapeOf("s"), 0)),
    event: (shapeOf) => length(shapeOf("s"), 0),
  },
  {
    names: ["log_scale", "shift"],
    expected(shapeOf) {
      const N = this.event(shapeOf);
      return { log_scale: [N], shift: [N] };
    },
    make: (shapeOf) => new ActNorm(length(shapeOf("shift"), 0)),
    event: (shapeOf) => length(shapeOf("shift"), 0),
  },
  {
    names: [...mlp("scale_net"), ...mlp("shift_net")],
    expected: (shapeOf) => ({ ...mlpShapes("scale_net", shapeOf), ...mlpShapes("shift_net", shapeOf) }),
    make: (shapeOf) =>
      new AffineCoupling(
        new MlpConditioner(conditioner("scale_net", shapeOf)),
        new MlpConditioner(conditioner("shift_net", shapeOf)),
      ),
    event: (shapeOf) => 2 * conditioner("shift_net", shapeOf).outputs,
    nets: ["shift_net", "scale_net"],
  },
  {
    names: [0, 1, 2].flatMap((i) => ["weight", "bias", "mask"].map((of) => `net.layers.${i}.${of}`)),
    expected(shapeOf) {
      const { size: N, condition: C, width } = made(shapeOf);
      const layer = (i: number, outputs: number, inputs: number): Record<string, Shape> => ({
        [`net.layers.${i}.weight`]: [outputs, inputs],
        [`net.layers.${i}.bias`]: [outputs],
        [`net.layers.${i}.mask`]: [outputs, inputs],
      });
      return { ...layer(0, width, N + Math.max(0, C)), ...layer(1, width, width), ...layer(2, 2 * N, width) };
    },
    make: (shapeOf) => new MaskedAutoregressive(new Made(made(shapeOf))),
    event: (shapeOf) => made(shapeOf).size,
    condition: (shapeOf) => made(shapeOf).condition,
  },
  {
    names: ["u", "w", "b"],
    expected(shapeOf) {
      const N = this.event(shapeOf);
      return { u: [N], w: [N], b: [] };
    },
    make: (shapeOf) => new Planar(length(shapeOf("w"), 0)),
    event: (shapeOf) => length(shapeOf("w"), 0),
  },
  {
    names: mlp("shift_net"),
    expected: (shapeOf) => mlpShapes("shift_net", shapeOf),
    make: (shapeOf) => new AdditiveCoupling(new MlpConditioner(conditioner("shift_net", shapeOf))),
    event: (shapeOf) => 2 * conditioner("shift_net", shapeOf).outputs,
    nets: ["shift_net"],
  },
];

/**
 * Reads a flow over vectors off the names and shapes of a checkpoint's tensors, `PREFIXlayers.NUMBER.REST`. Knows
 * permutations, PLU, ActNorm, affine and additive couplings of equal halves with `MlpConditioner`s, masked
 * autoregressive layers with a `Made`, planar layers, and the bases: NinA's MLP flow among others. Other tensors may
 * stand beside it. Throws when no flow is found, or several and no `prefix` is given, and for shapes that do not fit
 * each other.
 */
export function flowFromNames(tensors: Tensors, prefix?: string): Required<FlowOutline> {
  if (prefix !== undefined) return outlineUnder(tensors, prefix);
  const candidates = new Set<string>();
  for (const name of tensors.keys()) {
    const start = name.search(/(?<![^.])layers\.0\./);
    if (start >= 0) candidates.add(name.slice(0, start));
  }
  const outlines: Required<FlowOutline>[] = [];
  const reasons: string[] = [];
  for (const candidate of candidates) {
    try {
      outlines.push(outlineUnder(tensors, candidate));
    } catch (error) {
      reasons.push((error as Error).message); // not a flow, such as the layers of a text encoder; told if none is one
    }
  }
  if (outlines.length === 1) return outlines[0];
  if (outlines.length > 1) {
    const list = outlines.map((outline) => JSON.stringify(outline.prefix)).join(", ");
    throw new Error(
      `flowFromNames: expected one flow, found several; choose one of the prefixes ${printable(list)}`,
    );
  }
  throw new Error(reasons[0] ?? "flowFromNames: expected tensors named …layers.0.…, found none");
}

function outlineUnder(tensors: Tensors, prefix: string): Required<FlowOutline> {
  const layers: Map<string, Shape>[] = [];
  for (const [name, { shape }] of tensors) {
    if (!name.startsWith(`${prefix}layers.`)) continue;
    const parts = name.slice(prefix.length).match(/^layers\.(\d+)\.(.+)$/);
    if (!parts)
      throw new Error(
        `flowFromNames: expected ${printable(prefix)}layers.NUMBER.…, found ${printable(name)}`,
      );
    const index = Number(parts[1]);
    if (index > tensors.size)
      throw new Error(`flowFromNames: ${printable(name)}: layers are missing before it`);
    (layers[index] ??= new Map()).set(parts[2], shape);
  }
  if (layers.length === 0)
    throw new Error(`flowFromNames: expected tensors named ${printable(prefix)}layers.0.…, found none`);
  const read = Array.from(layers, (shapes, i) => readLayer(shapes, `${prefix}layers.${i}`));
  const N = read[0].event;
  for (const { name, event } of read)
    if (event !== N) mismatch(name, `${N} entries, as the first layer has`, `${event}`);
  const { condition } = read.reduce((widest, layer) => (layer.condition > widest.condition ? layer : widest));
  for (const layer of read)
    if (layer.condition !== 0 && layer.condition !== condition)
      mismatch(layer.name, `one width of conditions, ${condition} or 0`, `${layer.condition}`);
  const base = readBase((name) => tensors.get(`${prefix}base.${name}`)?.shape, N, `${prefix}base`);
  return {
    make: () =>
      new Flow(
        read.map(({ make }) => make()),
        base(),
      ),
    prefix,
    condition,
  };
}

function mismatch(who: string, expected: string, found: string): never {
  throw new FormatError(`flowFromNames: ${who}`, expected, found);
}

/** How to build the base that its tensors' names tell, over events of N entries. */
function readBase(shapeOf: (name: string) => Shape | undefined, N: number, name: string): () => Base {
  const weights = shapeOf("weight_logits");
  if (weights) {
    const K = length(weights, 0);
    const expected = { weight_logits: [K], mean: [K, N], log_std: [K, N] };
    for (const [of, shape] of Object.entries(expected)) {
      const found = shapeOf(of) ?? [];
      if (K === 0 || !sameShape(found, shape))
        mismatch(`${name}.${of}`, `${showShape(shape)}, nowhere 0, beside the others`, showShape(found));
    }
    return () => new NormalMixture([N], K);
  }
  if (shapeOf("log_std")) return () => new DiagonalNormal([N]);
  return () => (shapeOf("low") ? new BoxUniform([N]) : new StandardNormal([N]));
}

function readLayer(
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
      `flowFromNames: ${printable(name)}: no known layer has the tensors ${printable(some.join(", ")) || "(none)"}; ` +
        "build the flow yourself where names do not tell it",
    );
  }
  const shapeOf = (of: string): Shape => shapes.get(of) as Shape;
  for (const [of, expected] of Object.entries(kind.expected(shapeOf))) {
    const found = shapeOf(of);
    if (!sameShape(found, expected) || found.includes(0))
      mismatch(`${name}.${of}`, `${showShape(expected)}, nowhere 0, beside the others`, showShape(found));
  }
  const configs = (kind.nets ?? []).map((net) => ({ net, ...conditioner(net, shapeOf) }));
  for (const { net, outputs, condition } of configs) {
    const first = configs[0];
    if (condition < 0)
      mismatch(
        `${name}.${net}`,
        `inputs for ${outputs} kept entries, as many as outputs`,
        `${outputs + condition}`,
      );
    if (outputs !== first.outputs || condition !== first.condition)
      mismatch(
        `${name}.${net}`,
        `${first.outputs} outputs and a condition of ${first.condition}, like ${first.net}`,
        `${outputs} and ${condition}`,
      );
  }
  return {
    name,
    make: () => kind.make(shapeOf),
    event: kind.event(shapeOf),
    condition: configs[0]?.condition ?? kind.condition?.(shapeOf) ?? 0,
  };
}
