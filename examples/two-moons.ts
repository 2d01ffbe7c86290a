/**
 * Three flows learn the density of two moons: `npx tsx examples/two-moons.ts [steps] [picture.png]`
 *
 * A flow is a chain of invertible maps from data to noise. It is trained by making what was seen likely: the density of
 * the noise, times how much the maps shrink or stretch the plane there. docs/flows.md tells why.
 */
import { grad, Random, tidy } from "nina-ts";
import { maf, nsf, realNvp } from "nina-ts/flows";
import { AdamW } from "nina-ts/nn";
import { drawDensities, twoMoons } from "./moons.ts";

const steps = Number(process.argv[2] ?? 1000);
const picture = process.argv[3];
const random = new Random(0);

// Every one of them changes one coordinate by the other, in turn. What differs is how much a layer can bend, and what
// it costs to undo it: a coupling is undone at once, an autoregressive layer coordinate by coordinate.
const flows = {
  "RealNVP, affine couplings": realNvp({ size: 2, layers: 8, width: 32 }),
  "MAF, autoregressive layers": maf({ size: 2, layers: 8, width: 32 }),
  "neural splines, each mixed by an invertible matrix": nsf({ size: 2, layers: 3, width: 32 }),
};

const trained = Object.entries(flows).map(([name, flow]) => {
  flow.init(random);
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
