import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { grad, heapUsage, Plan, Random, Scope, Tensor } from "../../core/index.ts";
import { AdamW, withMasks } from "../../nn/index.ts";
import { MlpDecoder } from "../../vla/nina/mlp.ts";
import { TransformerDecoder } from "../../vla/nina/transformer.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/**
 * Whether `step` leaves nothing behind: every block it takes from the heap is given back, and once it has run, no
 * tensor made in it is reachable any more, so the collector finds them all.
 */
async function leaks(step: () => void): Promise<{ bytes: number; tensors: number }> {
  step(); // the first may make what stays: kernels, plans, moments
  const { live } = heapUsage();
  let reachable = 0;
  const registry = new FinalizationRegistry(() => {
    reachable--;
  });
  const watch = (tensor: object): void => {
    reachable++;
    registry.register(tensor, null);
  };
  const { add } = Scope.prototype;
  Scope.prototype.add = function (tensor) {
    watch(tensor);
    add.call(this, tensor);
  };
  try {
    for (let i = 0; i < 5; i++) step();
  } finally {
    Scope.prototype.add = add;
  }
  expect(reachable).toBeGreaterThan(0);
  for (let i = 0; i < 20 && reachable > 0; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 5)); // finalisers run between tasks
  }
  return { bytes: heapUsage().live - live, tensors: reachable };
}

const random = new Random(1);
const nothing = { bytes: 0, tensors: 0 };
const sizes = {
  steps: 4,
  actionWidth: 2,
  features: 6,
  condition: 5,
  width: 8,
  plu: true,
  tokenDropout: 0.1,
  actionNoise: 0.03,
};

describe("nothing is left behind by", () => {
  it.each([
    ["MLP", () => new MlpDecoder({ ...sizes, blocks: 2 })],
    ["Transformer", () => new TransformerDecoder({ ...sizes, blocks: 2, heads: 2, depth: 1, dropout: 0.1 })],
  ])("training steps of the %s decoder", async (_name, make) => {
    const decoder = make().init(random).train();
    const optimizer = new AdamW(decoder.namedParameters(), {
      betas: [0.9, 0.95],
      eps: 1e-8,
      weightDecay: 0.05,
    });
    const features = random.normals([3, 2, 6]);
    const actions = random.normals([3, 4, 2]);
    const found = await leaks(() => {
      using _ = new Scope();
      const loss = withMasks(random, () =>
        decoder.loss(actions, decoder.condition(features), decoder.drawNoise(3, random)),
      );
      optimizer.step(grad(loss, optimizer.parameters), 1e-4);
    });
    expect(found).toEqual(nothing);
  });

  it("policy calls: a plan and what reads it", async () => {
    const decoder = new MlpDecoder({ ...sizes, blocks: 2 }).init(random);
    const features = random.normals([1, 2, 6]);
    const z = random.normals([1, 4, 2]);
    const plan = new Plan((seen, noise) => decoder.sample(noise, decoder.condition(seen)), [features, z]);
    const found = await leaks(() => {
      using _ = new Scope();
      plan
        .run(features, random.normals([1, 4, 2]))[0]
        .slice(1, 0, 1)
        .toArray();
    });
    expect(found).toEqual(nothing);
  });

  it("second derivatives", async () => {
    const x = random.normals([3, 4]).tracked();
    const found = await leaks(() => {
      using _ = new Scope();
      const [dx] = grad(x.softmax().square().sum(), [x], { createGraph: true });
      grad((dx as Tensor).square().sum(), [x]);
    });
    expect(found).toEqual(nothing);
  });
});

describe("the detector finds", () => {
  it("a tensor that somebody still holds, and a block that was not given back", async () => {
    const held: Tensor[] = [];
    const found = await leaks(() => {
      using scope = new Scope();
      held.push(Tensor.zeros([16]), scope.keep(Tensor.ones([16])));
    });
    // Five steps leave two objects each, but the first of a step gave up its block of 64 bytes.
    expect(found).toEqual({ bytes: 5 * 64, tensors: 10 });
  });
});
