import { apply, defineElementwise, sample, type Tensor } from "../core/index.ts";

const op = defineElementwise({
  name: "normalCdf",
  inputs: 1,
  formula: ([x]) => x.mul(Math.SQRT1_2).erf().add(1).mul(0.5),
  samples: [{ ...sample([2, 5]), range: [-3, 3] }],
});

/** The standard normal distribution function Φ(x) = ½ (1 + erf(x/√2)), element by element. */
export const normalCdf = (x: Tensor): Tensor => apply(op, [x], []);
