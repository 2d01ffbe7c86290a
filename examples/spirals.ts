/**
 * A classifier: which of three spiral arms does a point of the plane belong to? `npx tsx examples/spirals.ts [steps]`
 */
import { grad, Random, Tensor, tidy } from "nina-ts";
import { AdamW, Lambda, Linear, Sequential } from "nina-ts/nn";

const steps = Number(process.argv[2] ?? 600);
const ARMS = 3;
const random = new Random(1);

/** Points of three arms that wind around the origin, and which arm each is of, as a row with a single 1. */
function spirals(count: number): { points: Tensor; arms: Tensor } {
  const [points, arms] = [new Float64Array(2 * count), new Float64Array(ARMS * count)];
  const noise = random.normals([count]).toArray();
  for (let i = 0; i < count; i++) {
    const arm = i % ARMS;
    const radius = 0.1 + 0.9 * random.uniform();
    const angle = (2 * Math.PI * arm) / ARMS + 4 * radius + 0.12 * noise[i];
    points.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * i);
    arms[ARMS * i + arm] = 1;
  }
  return { points: Tensor.from(points, [count, 2]), arms: Tensor.from(arms, [count, ARMS]) };
}

const tanh = (): Lambda => new Lambda((x) => x.tanh());
const net = new Sequential(new Linear(2, 32), tanh(), new Linear(32, 32), tanh(), new Linear(32, ARMS));
net.init(random);

/** −log of the probability that the network gives the right arm, on average: nats. */
const lossOf = (points: Tensor, arms: Tensor): Tensor =>
  net.forward(points).softmax().mul(arms).sum([1]).log().mean().neg();

const optimiser = new AdamW(net.namedParameters(), { weightDecay: 0 });
for (let step = 0; step < steps; step++) {
  // Everything that a step computes is freed when it is done; parameters and the optimiser's state lie outside.
  const loss = tidy(() => {
    const { points, arms } = spirals(192);
    const loss = lossOf(points, arms);
    optimiser.step(grad(loss, optimiser.parameters), 0.01);
    return loss.item();
  });
  if (step % 100 === 0) console.log(`step ${step}  loss ${loss.toFixed(3)}`);
}

/** Number of the largest of each row. */
const choices = (rows: number[]): number[] =>
  Array.from({ length: rows.length / ARMS }, (_, i) => {
    const row = rows.slice(ARMS * i, ARMS * (i + 1));
    return row.indexOf(Math.max(...row));
  });

const unseen = spirals(3000);
const right = choices(unseen.arms.toArray());
const said = choices(net.forward(unseen.points).toArray());
const share = said.filter((arm, i) => arm === right[i]).length / right.length;
console.log(`right of points that it has not seen: ${(100 * share).toFixed(1)} %`);

// The plane as the network divides it.
const [columns, rows] = [60, 28];
const grid = Array.from({ length: rows * columns }, (_, i) => [
  (2 * (i % columns)) / columns - 1,
  1 - (2 * Math.floor(i / columns)) / rows,
]);
const map = choices(net.forward(Tensor.from(grid)).toArray()).map((arm) => " .#"[arm]);
for (let row = 0; row < rows; row++) console.log(map.slice(row * columns, (row + 1) * columns).join(""));
