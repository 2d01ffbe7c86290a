import { noGrad, Random, Scope, Tensor, tidy } from "../../core/index.ts";
import { Flow, integrate, type Law, laws, StandardNormal, sampleJacobian } from "../../flows/index.ts";
import { TOLERANCES, Trial, tryLaw } from "../../flows/laws/index.ts";
import { inDType } from "../../nn/index.ts";
import { KINDS, type Setting } from "./kinds.ts";

/** The part of the plane that is drawn: −REACH to REACH along both axes. */
export const REACH = 4;
/** Points of a map along each axis. */
export const CELLS = 144;

export type Place = readonly [x: number, y: number];

/** Maps of the data plane, row by row from the bottom. */
export interface Maps {
  readonly density: Float64Array;
  /** log |det J| of data to noise. */
  readonly logDet: Float64Array;
}

/** A point of the data plane and all that the flow says of it. */
export interface Reading {
  readonly x: Place;
  readonly z: Place;
  readonly logDet: number;
  readonly logProb: number;
  /** ∂z/∂x, row-major, by automatic differentiation. */
  readonly jacobian: Float64Array;
}

/** A law, and how far the flow is from it. */
export interface Verdict {
  readonly name: string;
  readonly error: number;
  readonly tolerance: number;
}

/** Those that are tried while somebody turns knobs. */
const LIVE: readonly Law[] = [
  laws.roundTrip,
  laws.roundTripBack,
  laws.cancellation,
  laws.logDet,
  laws.inverseLogDet,
  laws.float32,
];

const build = (settings: readonly Setting[], dtype: "float32" | "float64"): Flow =>
  inDType(dtype, () => {
    const layers = settings.map((setting) => KINDS[setting.kind].make(setting));
    return new Flow(layers, new StandardNormal([2]));
  });

/** A flow of the plane, in float64. */
export class PlaneFlow implements Disposable {
  readonly #settings: readonly Setting[];
  readonly #flow: Flow;

  constructor(settings: readonly Setting[]) {
    this.#settings = settings;
    this.#flow = build(settings, "float64");
  }

  maps(): Maps {
    const points = new Float64Array(2 * CELLS * CELLS);
    for (let row = 0, i = 0; row < CELLS; row++)
      for (let column = 0; column < CELLS; column++) {
        points[i++] = middleOf(column);
        points[i++] = middleOf(row);
      }
    return noGrad(() =>
      tidy(() => {
        const { out, logDet } = this.#flow.forward(Tensor.from(points, [CELLS * CELLS, 2], "float64"));
        const density = this.#flow.base.logProb(out).add(logDet).exp();
        return { density: Float64Array.from(density.data), logDet: Float64Array.from(logDet.data) };
      }),
    );
  }

  /** Noise to data, two numbers each. */
  toData(points: ArrayLike<number>): Float64Array {
    return noGrad(() =>
      tidy(() => {
        const z = Tensor.from(Float64Array.from(points), [points.length / 2, 2], "float64");
        return Float64Array.from(this.#flow.inverse(z).out.data);
      }),
    );
  }

  at(x: Place): Reading {
    return tidy(() => {
      const point = Tensor.from([...x], [1, 2], "float64");
      const { out, logDet } = this.#flow.forward(point);
      const logProb = this.#flow.base.logProb(out).item() + logDet.item();
      const jacobian = sampleJacobian((one) => this.#flow.forward(one), point);
      return { x, z: [out.data[0], out.data[1]], logDet: logDet.item(), logProb, jacobian };
    });
  }

  /** Tries the laws of `nina-ts/flows/laws` at drawn points, and integrates the density. */
  verdicts(): Verdict[] {
    using _ = new Scope();
    const [twin, fast] = [build(this.#settings, "float64"), build(this.#settings, "float32")];
    const random = new Random(7);
    const [x, z] = [0, 1].map(() => random.normals([32, 2], "float64"));
    const trial = new Trial({ exact: this.#flow, twin, fast }, { x, z }, 8);
    const tried = LIVE.map((law) => ({
      name: law.name,
      error: tryLaw(law, trial).error,
      tolerance: TOLERANCES[law.precision as keyof typeof TOLERANCES],
    }));
    for (const one of [twin, fast]) one.dispose();
    return [...tried, this.#integral()];
  }

  #integral(): Verdict {
    const { total, error, outside } = integrate(this.#flow, { points: 240 });
    return {
      name: `the density integrates to 1: ${total.toFixed(6)}`,
      error: Math.abs(total - 1),
      tolerance: 1e-6 + error + outside,
    };
  }

  [Symbol.dispose](): void {
    this.#flow.dispose();
  }
}

/** The coordinate of the middle of a cell. */
export const middleOf = (cell: number): number => REACH * ((2 * (cell + 0.5)) / CELLS - 1);

/** The same noise for every flow, so that samples move and do not jump. */
export const NOISE: Float64Array = tidy(() =>
  Float64Array.from(new Random(3).normals([700, 2], "float64").data),
);
