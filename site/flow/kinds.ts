import { Tensor } from "../../core/index.ts";
import {
  AdditiveCoupling,
  AffineCoupling,
  Bijector,
  ElementwiseAffine,
  InvertiblePLU,
  keeping,
  type Mapped,
  Permutation,
  SplineCoupling,
} from "../../flows/index.ts";
import { Lambda } from "../../nn/index.ts";

/** A number that a reader turns. */
export interface Knob {
  readonly key: string;
  readonly label: string;
  readonly low: number;
  readonly high: number;
  readonly start: number;
}

/** What is set of a layer: its knobs, and which axis a coupling keeps (0 for x). */
export interface Setting {
  readonly kind: KindName;
  readonly knobs: Readonly<Record<string, number>>;
  readonly kept: 0 | 1;
}

/** A kind of bijector of the plane. */
export interface Kind {
  readonly title: string;
  /** From data x to noise z. */
  readonly formula: string;
  readonly knobs: readonly Knob[];
  /** Whether one axis drives the other. */
  readonly couples: boolean;
  readonly make: (setting: Setting) => Bijector;
}

const knob = (key: string, label: string, low: number, high: number, start: number): Knob => ({
  key,
  label,
  low,
  high,
  start,
});

const split = ({ kept }: Setting) => keeping([kept], 2);

/** A bijector whose tensors get these numbers. */
function filled<T extends Bijector>(layer: T, numbers: Readonly<Record<string, readonly number[]>>): T {
  for (const [name, tensor] of layer.namedTensors()) tensor.write(numbers[name]);
  return layer;
}

const BINS = 5;
/** Heights of the bins, narrow and high in turn; widths and slopes are left alike. */
const PATTERN = [...Array(BINS).fill(0), ...[1, -0.6, 0.9, -0.6, 1], ...Array(BINS - 1).fill(0.54)];

/** z = x e^a, and a claim that nothing changes volume. */
class Liar extends Bijector {
  readonly #stretch: number;

  constructor(stretch: number) {
    super();
    this.#stretch = stretch;
  }

  forward(x: Tensor): Mapped {
    return { out: x.scale(Math.exp(this.#stretch)), logDet: Tensor.zeros([x.shape[0]], x.dtype) };
  }

  inverse(z: Tensor): Mapped {
    return { out: z.scale(Math.exp(-this.#stretch)), logDet: Tensor.zeros([z.shape[0]], z.dtype) };
  }
}

export const KINDS = {
  affine: {
    title: "ElementwiseAffine",
    formula: "z = x ⊙ e^s + t",
    couples: false,
    knobs: [
      knob("s0", "scale x", -1.5, 1.5, 0.4),
      knob("s1", "scale y", -1.5, 1.5, 0),
      knob("t0", "shift x", -2, 2, 0),
      knob("t1", "shift y", -2, 2, 0),
    ],
    make: ({ knobs: { s0, s1, t0, t1 } }) =>
      filled(new ElementwiseAffine([2]), { log_scale: [s0, s1], shift: [t0, t1] }),
  },
  plu: {
    title: "InvertiblePLU",
    formula: "z = x P (I + L)(U + diag s)",
    couples: false,
    knobs: [
      knob("s0", "s₁", 0.2, 2.5, 1.2),
      knob("s1", "s₂", 0.2, 2.5, 0.8),
      knob("l", "L", -1.5, 1.5, 0.5),
      knob("u", "U", -1.5, 1.5, -0.5),
    ],
    make: ({ knobs: { s0, s1, l, u } }) =>
      filled(new InvertiblePLU(2), {
        s: [s0, s1],
        L: [0, 0, l, 0],
        U: [0, u, 0, 0],
        P: [1, 0, 0, 1],
        P_inv: [1, 0, 0, 1],
      }),
  },
  coupling: {
    title: "AffineCoupling",
    formula: "z₂ = x₂ e^s + t,  s = tanh(a sin ω x₁),  t = b sin ω x₁",
    couples: true,
    knobs: [
      knob("a", "scale a", -2, 2, 0.8),
      knob("b", "shift b", -2.5, 2.5, 1),
      knob("w", "frequency ω", 0.2, 3, 1.2),
    ],
    make(setting) {
      const { a, b, w } = setting.knobs;
      const wave = (amplitude: number) => new Lambda((kept) => kept.scale(w).sin().scale(amplitude));
      return new AffineCoupling(wave(a), wave(b), split(setting));
    },
  },
  additive: {
    title: "AdditiveCoupling",
    formula: "z₂ = x₂ + c (x₁² − 1)",
    couples: true,
    knobs: [knob("c", "bend c", -1, 1, -0.5)],
    make(setting) {
      const { c } = setting.knobs;
      return new AdditiveCoupling(new Lambda((kept) => kept.square().shift(-1).scale(c)), split(setting));
    },
  },
  spline: {
    title: "SplineCoupling",
    formula: "z₂ = a monotone curve of x₂, bent by a + b tanh x₁",
    couples: true,
    knobs: [knob("a", "bend a", -2, 2, 1.2), knob("b", "with x₁, b", -2, 2, 0)],
    make(setting) {
      const { a, b } = setting.knobs;
      const net = new Lambda((kept) => {
        const pattern = Tensor.from(PATTERN, [1, PATTERN.length], kept.dtype);
        return kept.tanh().scale(b).shift(a).mul(pattern);
      });
      return new SplineCoupling(net, { bins: BINS, bound: 3 }, split(setting));
    },
  },
  permutation: {
    title: "Permutation",
    formula: "z = (x₂, x₁)",
    couples: false,
    knobs: [],
    make: () => filled(new Permutation(2), { perm: [1, 0], inv_perm: [1, 0] }),
  },
  liar: {
    title: "A layer that lies",
    formula: "z = x e^a, but log |det J| = 0 is claimed",
    couples: false,
    knobs: [knob("a", "stretch a", -1, 1, 0.5)],
    make: ({ knobs: { a } }) => new Liar(a),
  },
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof KINDS;

/** A layer as it is when it is added. */
export const fresh = (kind: KindName, kept: 0 | 1 = 0): Setting => ({
  kind,
  kept,
  knobs: Object.fromEntries(KINDS[kind].knobs.map(({ key, start }) => [key, start])),
});

/** Flows to begin with. */
export const EXAMPLES: Readonly<Record<string, readonly Setting[]>> = {
  "a banana": [fresh("additive"), { ...fresh("affine"), knobs: { s0: 0.2, s1: 0.8, t0: 0, t1: 0 } }],
  "waves on waves": [
    { ...fresh("coupling", 0), knobs: { a: 0.6, b: 1.4, w: 1.3 } },
    { ...fresh("coupling", 1), knobs: { a: -0.9, b: 0.8, w: 1.6 } },
    { ...fresh("plu"), knobs: { s0: 1.3, s1: 1.1, l: 0.5, u: -0.4 } },
  ],
  islands: [
    { ...fresh("spline", 0), knobs: { a: -1.4, b: 0 } },
    { ...fresh("spline", 1), knobs: { a: -1.4, b: 0 } },
  ],
  "a turn from shears": [
    { ...fresh("plu"), knobs: { s0: 0.87, s1: 1.15, l: 0.58, u: -0.5 } },
    fresh("permutation"),
  ],
  "a lie": [fresh("additive"), fresh("liar")],
};
