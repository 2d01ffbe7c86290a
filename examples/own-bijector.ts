/**
 * A bijector of one's own, and its laws: `npx tsx examples/own-bijector.ts`
 *
 * The sinh-arcsinh map (Jones and Pewsey, 2009) bends the tails of a distribution and leans it to a side:
 *   z = sinh(δ asinh(x) − ε)    dz/dx = δ cosh(δ asinh(x) − ε) / √(1 + x²)    with δ > 0
 */
import { Random, type Tensor } from "nina-ts";
import { Bijector, Flow, type Mapped, StandardNormal, sumEvent } from "nina-ts/flows";
import { bijectorLaws } from "nina-ts/flows/laws";
import { constant, parameter } from "nina-ts/nn";

class SinhArcsinh extends Bijector {
  // Every field that holds a tensor is a parameter, and its name is the one that checkpoints use.
  log_tail: Tensor; // (N), log δ
  lean: Tensor; // (N), ε

  constructor(size: number) {
    super();
    this.log_tail = parameter([size], constant(0)); // δ = 1, ε = 0: the identity
    this.lean = parameter([size], constant(0));
  }

  forward(x: Tensor): Mapped {
    const inner = this.log_tail.exp().mul(x.asinh()).sub(this.lean);
    return { out: inner.sinh(), logDet: sumEvent(this.logSlope(x, inner)) };
  }

  // The inverse is a map of the same kind: x = sinh((asinh(z) + ε) / δ). Its slope is one over that of forward.
  inverse(z: Tensor): Mapped {
    const inner = z.asinh();
    const x = inner.add(this.lean).mul(this.log_tail.neg().exp()).sinh();
    return { out: x, logDet: sumEvent(this.logSlope(x, inner)).neg() };
  }

  /** log dz/dx */
  protected logSlope(x: Tensor, inner: Tensor): Tensor {
    const root = x.square().shift(1).log().scale(0.5); // log √(1 + x²)
    return this.log_tail.add(inner.cosh().log()).sub(root);
  }
}

/** The same with a slip that no shape betrays, and that any round trip survives: the slope forgets δ. */
class Forgetful extends SinhArcsinh {
  protected override logSlope(x: Tensor, inner: Tensor): Tensor {
    return super.logSlope(x, inner).sub(this.log_tail);
  }
}

/** Tries every law of bijectors; gives the names of those that do not hold. */
function broken(make: (size: number) => Bijector): string[] {
  const cases = bijectorLaws(({ D }) => make(D), { D: 3, C: 0, data: [-3, 3], noise: [-3, 3] });
  return cases.flatMap(({ name, check }) => {
    try {
      check(1); // draws parameters and points from this seed, and throws what is wrong
      return [];
    } catch {
      return [name];
    }
  });
}

console.log(`SinhArcsinh breaks ${broken((size) => new SinhArcsinh(size)).length} laws`);
console.log(`Forgetful breaks:\n  ${broken((size) => new Forgetful(size)).join("\n  ")}`);

// It is a layer like any other: a normal distribution with a lean and long tails.
const flow = new Flow([new SinhArcsinh(1)], new StandardNormal([1]));
const [layer] = flow.layers as SinhArcsinh[];
layer.log_tail.fill(Math.log(0.7));
layer.lean.fill(0.5);
const drawn = flow
  .sample(10_000, new Random(0))
  .toArray()
  .sort((a, b) => a - b);
console.log(`quantiles 1 %, 50 %, 99 %: ${[100, 5000, 9900].map((i) => drawn[i].toFixed(2)).join(", ")}`);
