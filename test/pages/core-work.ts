/**
 * What a page and Node both compute, for core.test.ts: a matrix product, a gradient, a plan, and the training of a
 * flow.
 */
import { bytesSource, concat, grad, openTensors, Plan, Random, type Tensor, tidy } from "../../core/index.ts";
import { AffineCoupling, Flow, InvertiblePLU, MlpConditioner, StandardNormal } from "../../flows/index.ts";
import { AdamW } from "../../nn/index.ts";

/** What tells the results apart, bit for bit, and the numbers of a safetensors file whose bytes are given. */
export function coreWork(file: Uint8Array): Record<string, number[]> {
  const random = new Random(3);
  const [a, b] = [random.normals([203, 300]).tracked(), random.normals([300, 257])];
  const [gradient] = grad(a.matmul(b).tanh().square().mean(), [a]);
  using plan = new Plan((x) => x.matmul(b).exp().sumTo([203, 1]), [a]);
  const [planned] = plan.run(random.normals([203, 300]).mul(0.01));
  using tensors = openTensors(bytesSource("page.safetensors", file));
  return {
    product: numbers(a.matmul(b).gelu().softmax()),
    gradient: numbers(gradient as Tensor),
    plan: numbers(planned),
    flow: trainedFlow(),
    file: [...tensors.tensors.values()].flatMap((tensor) => [...(tensor.read() as Float32Array)]),
  };
}

/** Densities and samples of a small flow after a few steps. */
function trainedFlow(): number[] {
  const random = new Random(0);
  const net = () => new MlpConditioner({ kept: 1, condition: 0, width: 16, outputs: 1 });
  const layers = [new InvertiblePLU(2), new AffineCoupling(net(), net())];
  const flow = new Flow(layers, new StandardNormal([2])).init(random);
  const optimiser = new AdamW(flow.namedParameters());
  const points = random.normals([64, 2]);
  for (let step = 0; step < 5; step++) {
    tidy(() => {
      const loss = flow.logProb(points).mean().neg();
      optimiser.step(grad(loss, optimiser.parameters), 0.02);
    });
  }
  return numbers(concat([flow.logProb(points).reshape([64, 1]), flow.sample(64, random)], 1));
}

/** The first of the numbers, and a checksum over the bits of all (FNV-1a). */
function numbers(x: Tensor): number[] {
  const bits = new Uint32Array(x.data.slice().buffer);
  return [
    ...x.data.subarray(0, 5),
    bits.reduce((hash, word) => Math.imul(hash ^ word, 16_777_619), 2_166_136_261),
  ];
}
