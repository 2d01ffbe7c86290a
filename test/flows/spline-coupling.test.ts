import { SplineCoupling } from "../../flows/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

const bins = 5;

// Slopes reach 1e-3 and the log-determinant jumps in its second derivative at the knots, so that the midpoint rule
// converges with the square of the step only: off by up to 1e-3 in two dimensions, depending on the curves drawn.
bijectorLaws(
  "SplineCoupling",
  ({ D, conditioner }) => {
    const half = Math.floor(D / 2);
    return new SplineCoupling(conditioner(half, (D - half) * (3 * bins - 1)), { bins, bound: 3 });
  },
  { D: 6, C: 4, tolerance: 1e-7, quadrature: 2e-3 },
);
