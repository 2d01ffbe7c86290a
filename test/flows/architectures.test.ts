/** Flows in one line: sound as certificates see them, and read back from their tensors' names. */
import { describe, expect, test } from "vitest";
import { Plan, Random, Scope, Tensor } from "../../core/index.ts";
import {
  BoxUniform,
  certify,
  Flow,
  flowFromNames,
  glow,
  maf,
  nice,
  nsf,
  planarFlow,
  realNvp,
  residualFlow,
} from "../../flows/index.ts";

const conditional = { nice, realNvp, glow, maf, nsf };
const all = { ...conditional, planarFlow, residualFlow };
const SMALL = { size: 2, layers: 2 };

describe.each(Object.entries(all))("%s", (name, architecture) => {
  test("is a density that its samples follow", () => {
    const width = name === "planarFlow" ? {} : { width: 6 };
    const make = (): Flow => architecture({ ...SMALL, ...width });
    // Splines bend sharply between their knots, which costs the midpoint rule digits.
    const findings = certify(make).findings.filter(
      ({ law }) => name !== "nsf" || !law.includes("integrates"),
    );
    expect(findings).toEqual([]);
  });

  test("gives the same as a plan", () => {
    using _ = new Scope();
    const width = name === "planarFlow" ? {} : { width: 6 };
    const flow = architecture({ ...SMALL, ...width }).init(new Random(1));
    const z = new Random(2).normals([3, 2]);
    using there = new Plan((x) => flow.logProb(x), [z]);
    using back = new Plan((x) => flow.inverse(x).out, [z]);
    expect(there.run(z)[0].toArray()).toEqual(flow.logProb(z).toArray());
    expect(back.run(z)[0].toArray()).toEqual(flow.inverse(z).out.toArray());
    flow.dispose();
  });

  test("refuses sizes that are none, and options that it does not have", () => {
    const make = architecture as (config: object) => Flow;
    for (const wrong of [{ size: 0 }, { size: 2, layers: 0 }, { size: 2, depth: 3 }, {}])
      expect(() => make(wrong)).toThrow(`${name}: expected`);
  });
});

test.each(Object.entries(conditional))("%s takes a condition, and an odd number of entries", (_, make) => {
  using _scope = new Scope();
  const flow = make({ size: 3, condition: 2, layers: 3, width: 6 }).init(new Random(0));
  for (const tensor of flow.parameters()) tensor.write(tensor.data.map((value) => value + 0.1));
  const x = new Random(1).normals([4, 3]);
  const under = (c: number): number[] => flow.logProb(x, Tensor.full([4, 2], c)).toArray();
  expect(under(0)).not.toEqual(under(1));
  expect(() => flow.logProb(x)).toThrow("expected a condition");
  flow.dispose();
});

// The names do not say how a spline is cut into bins, nor the bound of a residual layer.
test.each(Object.entries({ nice, realNvp, glow, maf, planarFlow }))(
  "%s is read off its names",
  (name, architecture) => {
    using _ = new Scope();
    const make = (): Flow =>
      name === "planarFlow"
        ? planarFlow({ size: 4 })
        : (architecture as typeof maf)({ size: 4, condition: 3, width: 5 });
    const flow = make().init(new Random(3));
    const plan = flowFromNames(flow.stateDict());
    expect(plan.condition).toBe(name === "planarFlow" ? 0 : 3);
    const read = plan.make().load(flow.stateDict());
    const x = new Random(4).normals([5, 4]);
    const condition = plan.condition > 0 ? new Random(5).normals([5, 3]) : undefined;
    expect(read.logProb(x, condition).toArray()).toEqual(flow.logProb(x, condition).toArray());
  },
);

test("a uniform base is read off its names", () => {
  const flow = new Flow(planarFlow({ size: 2 }).layers, new BoxUniform([2], -9, 9)).init(new Random(0));
  const read = flowFromNames(flow.stateDict()).make().load(flow.stateDict());
  expect(read.base).toBeInstanceOf(BoxUniform);
  expect(read.stateDict()).toEqual(flow.stateDict());
});
