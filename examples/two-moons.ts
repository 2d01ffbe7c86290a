/**
 * Three flows learn the density of two moons: `npx tsx examples/two-moons.ts [steps] [picture.png]`
 *
 * A flow is a chain of invertible maps from data to noise. It is trained by making what was seen likely: the density of
 * the noise, times how much the maps shrink or stretch the plane there. docs/flows.md tells why.
 */
import { grad, Random, tidy } from "nina-ts";
import {
  AffineCoupling,
  type Bijector,
  Flow,
  InvertiblePLU,
  MlpConditioner,
  Permutation,
  SplineCoupling,
  StandardNormal,
} from "nina-ts/flows";
import { AdamW } from "nina-ts/nn";
import { drawDensities, twoMoons } from "./moons.ts";

const steps = Number(process.argv[2] ?? 1000);
const picture = process.argv[3];
const random = new Random(0);

/** A network that sees the coordinate that is kept and gives numbers for the one that is changed. */
const net = (outputs: number): MlpConditioner =>
  new MlpConditioner({ kept: 1, condition: 0, width: 32, outputs });

const repeat = (count: number, block: () => Bijector[]): Bijector[] =>
  Array.from({ length: count }, block).flat();

// A coupling changes one coordinate by the other. Something must mix them before the next coupling: here it is a swap
// at random, or an invertible matrix that is learnt (NinA's choice).
const flows = {
  "affine couplings, permuted": repeat(8, () => [new Permutation(2), new AffineCoupling(net(1), net(1))]),
  "affine couplings and PLU": repeat(8, () => [new AffineCoupling(net(1), net(1)), new InvertiblePLU(2)]),
  "splines and PLU": repeat(3, () => [
    new SplineCoupling(net(3 * 12 - 1), { bins: 12, bound: 3 }),
    new InvertiblePLU(2),
  ]),
};

const trained = Object.entries(flows).map(([name, layers]) => {
  const flow = new Flow(layers, new StandardNormal([2])).init(random);
  const optimiser = new AdamW(flow.namedParameters(), { weightDecay: 0 });
  for (let step = 0; step < steps; step++) {
    tidy(() => {
      const loss = flow.logProb(twoMoons(256, random).points).mean().neg();
      // Large steps first, small ones at the end.
      optimiser.step(grad(loss, optimiser.parameters), 0.005 * (1 - step / steps));
    });
  }
  const unseen = tidy(() => flow.logProb(twoMoons(4000, random).points).mean().item());
  console.log(
    `${name}: log p of unseen points ${unseen.toFixed(3)} nats, ${flow.countParameters()} parameters`,
  );
  return flow;
});

if (picture !== undefined) {
  drawDensities(
    picture,
    160,
    trained.map((flow) => (x) => flow.logProb(x)),
  );
  console.log(`${picture}: their densities, from left to right`);
}
