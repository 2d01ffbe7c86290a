import { Tensor, tidy } from "../../../core/index.ts";
import { inDType } from "../../../nn/index.ts";
import { MseDecoder } from "../../../vla/nina/mse.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { compareAdam } from "./adam.ts";
import { mseConfig } from "./builders.ts";
import { compareGradientsOf, type FlowCase } from "./flow.ts";
import { compareOutput, Golden } from "./golden.ts";

/** Names of a flow's tensors in checkpoints and manifests. */
const PREFIX = "nf.";

/**
 * The ablation without a density: what noise becomes, squared error, gradients, optimiser steps, in both precisions.
 */
export function mseCase(dir: string, one: FlowCase): () => ParityResult {
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    for (const precision of ["float64", "float32"] as const) {
      tidy(() => {
        // The recorded loss has no noise on its targets and a condition of its own: features are not used.
        const config = { ...mseConfig(one.config), features: 1, tokenDropout: 0, actionNoise: 0 };
        const decoder = inDType(precision, () => new MseDecoder(config));
        decoder.nf.load(golden.tensors, { prefix: `state.${PREFIX}` });
        const input = (name: string): Tensor => golden.tensor(`in.${name}`, precision);
        const [z, condition] = [input("z").tracked(), input("cond").tracked()];
        const noise = { action: Tensor.zeros(z.shape, precision), z };
        const loss = (): Tensor => decoder.loss(input("target"), condition, noise);

        const compare = (name: string, got: Tensor, factor: number): void =>
          compareOutput(name, got, factor, golden, one, precision, worst);
        compare("inverse", decoder.nf.forward(z, condition), 2e-5);
        compare("loss", loss(), 1e-5);

        const parameters = decoder.nf.namedParameters().map(([name, p]) => [PREFIX + name, p] as const);
        const named: [string, Tensor][] = [
          ...parameters.map(([name, p]): [string, Tensor] => [`grad.${name}`, p]),
          ["grad_in.z", z],
          ["grad_in.cond", condition],
        ];
        const without = one.params_without_grad;
        compareGradientsOf(loss(), named, golden, one, without, precision, worst);
        if (one.adam) compareAdam(one.adam, parameters, loss, golden, without, precision, worst);
        decoder.dispose();
      });
    }
    return worst.result();
  };
}
