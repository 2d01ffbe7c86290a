import { grad, type Tensor, tidy } from "../../../core/index.ts";
import type { Flow } from "../../../flows/index.ts";
import { MseNet } from "../../../vla/nina/mse.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { type AdamBlock, compareAdam } from "./adam.ts";
import { type FlowConfig, flowOf, fromNoise } from "./builders.ts";
import {
  compareOutput,
  Golden,
  type GoldenCase,
  measured,
  type Precision,
  STORED_AS_FLOAT32,
  scaled,
} from "./golden.ts";

export interface FlowCase extends GoldenCase {
  readonly config: FlowConfig;
  readonly params_without_grad: readonly string[];
  readonly adam?: AdamBlock;
}

/** Names of a flow's tensors in checkpoints and manifests. */
const PREFIX = "nf.";

/**
 * A flow that has a density: both directions, log-probability, loss, gradients, optimiser steps, in both precisions.
 */
export function flowCase(dir: string, one: FlowCase): (() => ParityResult) | undefined {
  const make = flowOf(one.config);
  if (!make) return undefined;
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    for (const precision of ["float64", "float32"] as const) {
      tidy(() => {
        const flow = golden.load(make, precision, `state.${PREFIX}`);
        compareDirections(flow, golden, one, precision, worst, 2e-5);
        compareGradients(flow, golden, one, precision, worst);
        if (one.adam) {
          const [x, condition] = [golden.tensor("in.x", precision), golden.tensor("in.cond", precision)];
          const named = flow.namedParameters().map(([name, p]) => [PREFIX + name, p] as const);
          compareAdam(
            one.adam,
            named,
            () => flow.logProb(x, condition).mean().neg(),
            golden,
            one.params_without_grad,
            precision,
            worst,
          );
        }
        flow.dispose();
      });
    }
    return worst.result();
  };
}

/** forward, inverse, log-determinant and log-probability, as far as the golden file has them. */
export function compareDirections(
  flow: Flow | MseNet,
  golden: Golden,
  one: GoldenCase,
  precision: Precision,
  worst: Worst,
  float32: number,
): void {
  const condition = golden.tensor("in.cond", precision);
  const compare = (name: string, got: Tensor, factor: number): void => {
    if (golden.has(`out64.${name}`)) compareOutput(name, got, factor, golden, one, precision, worst);
  };
  compare("inverse", fromNoise(flow, golden.tensor("in.z", precision), condition), float32);
  if (flow instanceof MseNet) return;
  const x = golden.tensor("in.x", precision);
  const forward = flow.forward(x, condition);
  const logProb = flow.logProb(x, condition);
  compare("z", forward.out, float32);
  compare("log_det", forward.logDet, 1e-5);
  compare("log_prob", logProb, 1e-5);
  compare("loss", logProb.mean().neg(), 1e-5);
  compare("roundtrip", flow.inverse(forward.out, condition).out, float32);
}

function compareGradients(
  flow: Flow,
  golden: Golden,
  one: FlowCase,
  precision: Precision,
  worst: Worst,
): void {
  const inputs = ["x", "cond"].map((name) => golden.tensor(`in.${name}`, precision).tracked());
  const loss = flow.logProb(inputs[0], inputs[1]).mean().neg();
  const named: [string, Tensor][] = [
    ...flow.namedParameters().map(([name, p]): [string, Tensor] => [`grad.${PREFIX}${name}`, p]),
    ["grad_in.x", inputs[0]],
    ["grad_in.cond", inputs[1]],
  ];
  compareGradientsOf(loss, named, golden, one, one.params_without_grad, precision, worst);
}

/**
 * Gradients of a loss against the golden ones; parameters that have none in the reference must have none here. Where we
 * have none, the reference must have zeros.
 */
export function compareGradientsOf(
  loss: Tensor,
  named: readonly (readonly [string, Tensor])[],
  golden: Golden,
  one: GoldenCase,
  without: readonly string[],
  precision: Precision,
  worst: Worst,
): void {
  const gradients = grad(
    loss,
    named.map(([, tensor]) => tensor),
  );
  named.forEach(([name], i) => {
    const gradient = gradients[i];
    if (without.includes(name.replace(/^grad\./, ""))) {
      if (gradient) throw new Error(`${name}: the reference has no gradient there`);
      return;
    }
    const expected = golden.numbers(name);
    const got = gradient?.data ?? new Float64Array(expected.length);
    const tolerance =
      precision === "float64"
        ? scaled(STORED_AS_FLOAT32, expected)
        : Math.max(scaled(1e-5, expected), 4 * measured(one, "grad_worst_abs"));
    worst.compare(`${precision} ${name}`, got, expected, tolerance);
  });
}
