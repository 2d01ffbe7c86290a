/**
 * A classifier: which of three spiral arms does a point of the plane belong to? `npx tsx examples/spirals.ts [steps]`
 */
import { grad, Random, Tensor, tidy } from "nina-ts";
import { AdamW, crossEntropy, Lambda, Linear, Sequential } from "nina-ts/nn";

const steps = Number(process.argv[2] ?? 600);
const ARMS = 3;
const random = new Random(1);

/** Points (count, 2) of three arms that wind around the origin, and the number of each one's arm (count), int32. */
function spirals(count: number): { points: Tensor; arms: Tensor } {
  const points = new Float64Array(2 * count);
  const noise = random.normals([count]).toArray();
  for (let i = 0; i < count; i++) {
    const arm = i % ARMS;
    const radius = 0.1 + 0.9 * random.uniform();
    const angle = (2 * Math.PI * arm) / ARMS + 5 * radius + 0.12 * noise[i];
    points.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * i);
  }
  const arms = Array.from({ length: count }, (_, i) => i % ARMS);
  return { points: Tensor.from(points, [count, 2]), arms: Tensor.from(arms, [count], "int32") };
}

const tanh = (): Lambda => new Lambda((x) => x.tanh());
const net = new Sequential(new Linear(2, 32), tanh(), new Linear(32, 32), tanh(), new Linear(32, ARMS));
net.init(random);

const optimiser = new AdamW(net.namedParameters(), { weightDecay: 0 });
for (let step = 0; step < steps; step++) {
  // Everything that a step computes is freed when it is done; parameters and the optimiser's state lie outside.
  const loss = tidy(() => {
    const { points, arms } = spirals(192);
    // −log of the probability that the network gives the right arm, on average: nats.
    const loss = crossEntropy(net.forward(points), arms);
    optimiser.step(grad(loss, optimiser.parameters), 0.01);
    return loss.item();
  });
  if (step % 100 === 0) console.log(`step ${step}  loss ${loss.toFixed(3)}`);
}

const unseen = spirals(3000);
const right = net.forward(unseen.points).argmax(1).eq(unseen.arms).toArray();
const share = right.reduce((sum, one) => sum + one) / right.length;
console.log(`right of points that it has not seen: ${(100 * share).toFixed(1)} %`);

// The plane as the network divides it.
const [columns, rows] = [60, 28];
const grid = Array.from({ length: rows * columns }, (_, i) => [
  (2 * (i % columns)) / columns - 1,
  1 - (2 * Math.floor(i / columns)) / rows,
]);
const map = net
  .forward(Tensor.from(grid))
  .argmax(1)
  .toArray()
  .map((arm) => " .#"[arm]);
for (let row = 0; row < rows; row++) console.log(map.slice(row * columns, (row + 1) * columns).join(""));
