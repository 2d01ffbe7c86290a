/**
 * Flows as their papers put them together, over vectors (B, size), each in one line; `init` draws their parameters.
 *
 *     const flow = realNvp({ size: 2 }).init(new Random(0));
 */
import { checkInteger, checkOptions } from "../core/index.ts";
import { ActNorm } from "./act-norm.ts";
import { AdditiveCoupling } from "./additive-coupling.ts";
import { AffineCoupling } from "./affine-coupling.ts";
import type { Bijector } from "./bijector.ts";
import { MlpConditioner } from "./conditioner.ts";
import { ElementwiseAffine } from "./elementwise-affine.ts";
import { Flow } from "./flow.ts";
import { Made } from "./made.ts";
import { MaskedAutoregressive } from "./masked-autoregressive.ts";
import { StandardNormal } from "./normal.ts";
import { Permutation } from "./permutation.ts";
import { Planar } from "./planar.ts";
import { InvertiblePLU } from "./plu.ts";
import { Residual } from "./residual.ts";
import { SplineCoupling } from "./spline-coupling.ts";

export interface Architecture {
  /** Entries of an event. */
  readonly size: number;
  /** Steps of the flow; 6 unless given. */
  readonly layers?: number;
}

export interface NetworkArchitecture extends Architecture {
  /** Width of the networks' hidden layers; 64 unless given. */
  readonly width?: number;
}

export interface ConditionalArchitecture extends NetworkArchitecture {
  /** Width of the condition; 0, none, unless given. */
  readonly condition?: number;
}

/** NICE (arXiv:1410.8516): additive couplings, the order of entries reversed between them, then a scale per entry. */
export function nice(config: ConditionalArchitecture): Flow {
  const { size, layers, net } = coupled(config, "nice");
  return normal(size, [
    ...reversing(
      size,
      layers.map(() => new AdditiveCoupling(net(1))),
    ),
    new ElementwiseAffine([size]),
  ]);
}

/** RealNVP over vectors (arXiv:1605.08803): affine couplings, the order of entries reversed between them. */
export function realNvp(config: ConditionalArchitecture): Flow {
  const { size, layers, net } = coupled(config, "realNvp");
  return normal(
    size,
    reversing(
      size,
      layers.map(() => new AffineCoupling(net(1), net(1))),
    ),
  );
}

/** Glow over vectors (arXiv:1807.03039): per layer an ActNorm, an invertible matrix, and an affine coupling. */
export function glow(config: ConditionalArchitecture): Flow {
  const { size, layers, net } = coupled(config, "glow");
  return normal(
    size,
    layers.flatMap(() => [new ActNorm(size), new InvertiblePLU(size), new AffineCoupling(net(1), net(1))]),
  );
}

/** MAF (arXiv:1705.07057): masked autoregressive layers, the order of entries reversed between them. */
export function maf(config: ConditionalArchitecture): Flow {
  const { size, condition, width, layers } = complete(config, "maf");
  return normal(
    size,
    reversing(
      size,
      layers.map(() => new MaskedAutoregressive(new Made({ size, condition, width }))),
    ),
  );
}

/** Pieces of each curve of `nsf`, and where the curves end, as the paper takes them. */
const BINS = 8;
const BOUND = 3;

/**
 * A neural spline flow (RQ-NSF (C), arXiv:1906.04032): rational-quadratic couplings, the identity outside [−3, 3], with
 * an invertible matrix before each. Data is best scaled to that range.
 */
export function nsf(config: ConditionalArchitecture): Flow {
  const { size, layers, net } = coupled(config, "nsf");
  return normal(
    size,
    layers.flatMap(() => [
      new InvertiblePLU(size),
      new SplineCoupling(net(3 * BINS - 1), { bins: BINS, bound: BOUND }),
    ]),
  );
}

/** A planar flow (arXiv:1505.05770), without conditions. */
export function planarFlow(config: Architecture): Flow {
  checkOptions(config, ["size", "layers"], "planarFlow");
  const { size, layers } = complete(config, "planarFlow");
  return normal(
    size,
    layers.map(() => new Planar(size)),
  );
}

/**
 * A residual flow (arXiv:1906.02735), an ActNorm before each layer, without conditions: for few entries, see
 * `Residual`.
 */
export function residualFlow(config: NetworkArchitecture): Flow {
  checkOptions(config, ["size", "layers", "width"], "residualFlow");
  const { size, width, layers } = complete(config, "residualFlow");
  return normal(
    size,
    layers.flatMap(() => [new ActNorm(size), new Residual({ size, width })]),
  );
}

const normal = (size: number, layers: Bijector[]): Flow => new Flow(layers, new StandardNormal([size]));

/** The layers with the order of entries reversed between them: a coupling keeps what the one before it changed. */
function reversing(size: number, layers: readonly Bijector[]): Bijector[] {
  const reversed = Array.from({ length: size }, (_, i) => size - 1 - i);
  return layers.flatMap((layer, i) => (i === 0 ? [layer] : [new Permutation(size, reversed), layer]));
}

/** The config with what is not given, and a place for each layer. */
function complete(config: ConditionalArchitecture, who: string, least = 1) {
  checkOptions(config, ["size", "condition", "layers", "width"], who);
  const { size, condition = 0, layers = 6, width = 64 } = config;
  checkInteger(size, least, who, "size");
  checkInteger(condition, 0, who, "condition");
  checkInteger(layers, 1, who, "layers");
  checkInteger(width, 1, who, "width");
  return { size, condition, width, layers: new Array<null>(layers).fill(null) };
}

/** The same for couplings of halves, with their networks: of one entry a coupling would keep nothing. */
function coupled(config: ConditionalArchitecture, who: string) {
  const all = complete(config, who, 2);
  const { size, condition, width } = all;
  const kept = Math.floor(size / 2);
  /** A network that gives so many numbers per changed entry. */
  const net = (numbers: number): MlpConditioner =>
    new MlpConditioner({ kept, condition, width, outputs: (size - kept) * numbers });
  return { ...all, net };
}
