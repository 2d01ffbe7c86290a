/** The laws of a flow on each device: what it undoes, and its densities against the cpu's in float64. */
import { fc } from "@fast-check/vitest";
import { expect, it } from "vitest";
import { cpu, onDevice, Random, Tensor, tidy, unscoped } from "../../core/index.ts";
import { inDType } from "../../nn/index.ts";
import { mlpFlow } from "../../vla/nina/mlp.ts";
import { describeDevices, SLOW } from "./modes.ts";

const config = { steps: 2, actionWidth: 3, condition: 4, blocks: 2, width: 8, plu: true };
const B = 5;

describeDevices("flows", (device, mode) => {
  const property = fc.asyncProperty(fc.nat(), async (seed) => {
    const exact = onDevice(cpu, () => inDType("float64", () => mlpFlow(config)).init(new Random(seed)));
    const flow = onDevice(cpu, () => mlpFlow(config).load(exact.stateDict())).to(device());
    const inputs = (): Tensor[] => {
      const random = new Random(seed, 1);
      return [random.normals([B, config.steps * config.actionWidth]), random.normals([B, config.condition])];
    };
    const read = async (made: readonly Tensor[]): Promise<number[][]> => {
      const numbers = await Promise.all(made.map((x) => x.read()));
      for (const x of made) x.dispose();
      return numbers.map((list) => [...list]);
    };
    const got = await read(
      unscoped(() =>
        onDevice(device(), () =>
          tidy(() => {
            const [x, condition] = inputs();
            const { out, logDet } = flow.forward(x, condition);
            const back = flow.inverse(out, condition);
            return [x, out, logDet, flow.logProb(x, condition), back.out, back.logDet.neg()];
          }),
        ),
      ),
    );
    const expected = tidy(() => {
      const [x, condition] = inputs().map((each) => Tensor.from(each.data, each.shape, "float64"));
      const { out, logDet } = exact.forward(x, condition);
      const numbers = [x, out, logDet, exact.logProb(x, condition), x, logDet];
      return numbers.map((each) => each.toArray());
    });
    got.forEach((numbers, i) => {
      const scale = Math.max(1, ...expected[i].map(Math.abs));
      const errors = numbers.map((value, j) => Math.abs(value - expected[i][j]) / scale);
      // Some twenty products in float32 there and back: 2⁻²⁴ each, times what the couplings stretch.
      expect(Math.max(...errors)).toBeLessThan(2e-5);
    });
    for (const each of [exact, flow]) each.dispose();
  });

  it("undo what they do, with the densities of the cpu in float64", SLOW, async () => {
    await fc.assert(property, { numRuns: mode === "webasm" ? 5 : 1 });
  });
});
