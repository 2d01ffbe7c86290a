import { grad, Tensor, tidy } from "../../../core/index.ts";
import { InvertiblePLU } from "../../../flows/index.ts";
import { logAbsDet } from "../../../flows/linear-algebra.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { FLOAT64, Golden, type GoldenCase, measured, STORED_AS_FLOAT32, scaled } from "./golden.ts";

interface PluCase extends GoldenCase {
  readonly config: { readonly features: number };
}

/**
 * Both directions, the log-determinant also against that of the whole matrix, and gradients of Σ y ⊙ go + 3 Σ log_det.
 */
export function pluCase(dir: string, one: PluCase): () => ParityResult {
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    for (const precision of ["float64", "float32"] as const) {
      tidy(() => {
        const layer = golden.load(() => new InvertiblePLU(one.config.features), precision, "state.");
        const x = golden.tensor("in.x", precision).tracked();
        const { out, logDet } = layer.forward(x);
        const compare = (name: string, got: ArrayLike<number>, factor: number): void => {
          const expected = golden.numbers(`out64.${name}`);
          const tolerance =
            precision === "float64"
              ? scaled(FLOAT64, expected)
              : Math.max(scaled(factor, expected), 4 * measured(one, name));
          worst.compare(`${precision} ${name}`, got, expected, tolerance);
        };
        compare("y", out.data, 2e-5);
        compare("log_det", logDet.data.subarray(0, 1), 1e-5);
        compare("inverse", layer.inverse(golden.tensor("in.z", precision)).out.data, 2e-5);

        const loss = out
          .mul(golden.tensor("in.go", precision))
          .sum()
          .add(logDet.slice(0, 0, 1).scale(3).sum());
        const names = ["s", "U", "L"] as const;
        const gradients = grad(loss, [...names.map((name) => layer[name]), x]);
        [...names.map((name) => `grad.${name}`), "grad_in.x"].forEach((name, i) => {
          const expected = golden.numbers(name);
          const tolerance = scaled(precision === "float64" ? STORED_AS_FLOAT32 : 1e-5, expected);
          worst.compare(`${precision} ${name}`, gradients[i]?.data ?? [], expected, tolerance);
        });
        if (precision === "float64") {
          const N = one.config.features;
          const unit = Tensor.from(
            Float64Array.from({ length: N * N }, (_, i) => (i % (N + 1) ? 0 : 1)),
            [N, N],
            precision,
          );
          const whole = [logAbsDet(layer.forward(unit).out.data)];
          worst.compare("log |det W|", whole, golden.numbers("out64.log_det"), FLOAT64);
          // The recorded check was computed from a W rounded to float32.
          worst.compare("recorded log |det W|", whole, golden.numbers("check.slogdet_logabs"), 1e-6);
        }
        layer.dispose();
      });
    }
    return worst.result();
  };
}
