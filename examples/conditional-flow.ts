/**
 * A flow with a condition: `npx tsx examples/conditional-flow.ts [steps] [picture.png]`
 *
 * What NinA asks of its flow, in two dimensions: not "how likely is this?" but "how likely is this, given what I see?".
 * Here the condition is one number, which of the two moons is meant. Every coupling's networks see it beside the
 * coordinate that they keep; invertibility does not care, since the condition is the same both ways.
 */
import { grad, Random, Tensor, tidy } from "nina-ts";
import { AffineCoupling, Flow, InvertiblePLU, MlpConditioner, StandardNormal } from "nina-ts/flows";
import { AdamW } from "nina-ts/nn";
import { drawDensities, twoMoons } from "./moons.ts";

const steps = Number(process.argv[2] ?? 1000);
const picture = process.argv[3];
const random = new Random(0);

const net = (): MlpConditioner => new MlpConditioner({ kept: 1, condition: 1, width: 32, outputs: 1 });
const layers = Array.from({ length: 6 }, () => [
  new AffineCoupling(net(), net()),
  new InvertiblePLU(2),
]).flat();
const flow = new Flow(layers, new StandardNormal([2])).init(random);

const optimiser = new AdamW(flow.namedParameters(), { weightDecay: 0 });
for (let step = 0; step < steps; step++) {
  tidy(() => {
    const { points, moons } = twoMoons(256, random);
    const loss = flow.logProb(points, moons).mean().neg();
    optimiser.step(grad(loss, optimiser.parameters), 0.005 * (1 - step / steps));
  });
}

// Told the right moon, points are likely; told the other one, they are not.
const { points, moons } = twoMoons(4000, random);
const right = flow.logProb(points, moons).mean().item();
const wrong = flow.logProb(points, moons.neg().shift(1)).mean().item();
console.log(
  `log p of unseen points: ${right.toFixed(2)} told their moon, ${wrong.toFixed(2)} told the other`,
);

// Asked for samples, it puts them where it was told. The upper moon's mean height is 2/π − 1/4.
for (const moon of [0, 1]) {
  const samples = flow.sample(2000, random, { condition: Tensor.full([2000, 1], moon) });
  const [x, y] = samples.mean([0]).toArray();
  console.log(`samples of moon ${moon}: mean ${x.toFixed(2)}, ${y.toFixed(2)}`);
}

if (picture !== undefined) {
  const given = (moon: number) => (x: Tensor) => flow.logProb(x, Tensor.full([x.shape[0], 1], moon));
  drawDensities(picture, 160, [given(0), given(1)]);
  console.log(`${picture}: the density given each moon`);
}
