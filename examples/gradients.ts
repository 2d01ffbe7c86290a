/**
 * Gradients by hand and by machine: `npx tsx examples/gradients.ts`
 *
 * A network with one hidden layer, and the mean of its squared errors:
 *   h = tanh(x W)    p = h v    loss = mean (p − y)²
 */
import { grad, Random, Tensor } from "nina-ts";

const random = new Random(0);
const draw = (rows: number, columns: number): Tensor => random.normals([rows, columns], "float64");
const [B, N, H] = [8, 3, 5];
const [x, y] = [draw(B, N), draw(B, 1)];
const [W, v] = [draw(N, H), draw(H, 1)].map((each) => each.tracked());

const predict = (W: Tensor, v: Tensor): Tensor => x.matmul(W).tanh().matmul(v); // (B, 1)
const lossOf = (W: Tensor, v: Tensor): Tensor => predict(W, v).sub(y).square().mean();

// By hand: the chain rule from the loss backwards. Each line is the gradient of the loss by what stands on its left.
const h = x.matmul(W).tanh(); // (B, H)
const error = predict(W, v).sub(y); // (B, 1)
const dp = error.scale(2 / B); // the mean of B squares
const dv = h.t().matmul(dp); // (H, 1): p = h v
const dh = dp.matmul(v.t()); // (B, H)
const dz = dh.mul(h.square().neg().shift(1)); // tanh′ = 1 − tanh²
const dW = x.t().matmul(dz); // (N, H): z = x W

// By machine: the same rules, which every op brings along, applied by walking the history of the loss backwards.
const [byMachine, byMachineV] = grad(lossOf(W, v), [W, v]) as Tensor[];

// As a slope: nudge one weight a little, both ways, and look what the loss does.
const step = 1e-5;
const nudged = (by: number): number => {
  const weights = W.toArray();
  weights[0] += by;
  return lossOf(Tensor.from(weights, [N, H], "float64"), v).item();
};
const slope = (nudged(step) - nudged(-step)) / (2 * step);

// Gradients are tensors with a history of their own, so that they have gradients too: the curvature along one
// direction.
const direction = draw(N, H);
const [first] = grad(lossOf(W, v), [W], { createGraph: true }) as Tensor[];
const [curvature] = grad(first.mul(direction).sum(), [W]) as Tensor[];

const apart = (a: Tensor, b: Tensor): number => Math.max(...a.sub(b).toArray().map(Math.abs));
console.log(`by hand and by machine differ by ${apart(dW, byMachine)} and ${apart(dv, byMachineV)}`);
console.log(`first weight: slope ${slope.toFixed(9)}, gradient ${byMachine.data[0].toFixed(9)}`);
console.log(`curvature along a random direction: ${curvature.mul(direction).sum().item().toFixed(6)}`);
