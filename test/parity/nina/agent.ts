import { type Tensor, tidy } from "../../../core/index.ts";
import { noisyTarget } from "../../../vla/nina/decoder.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { type AdamBlock, compareAdam } from "./adam.ts";
import { type AgentConfig, decoderOf } from "./builders.ts";
import { compareGradientsOf } from "./flow.ts";
import { compareOutput, Golden, type GoldenCase, STORED_AS_FLOAT32 } from "./golden.ts";

export interface AgentCase extends GoldenCase {
  readonly config: AgentConfig;
  readonly params_without_grad: readonly string[];
  readonly adam?: AdamBlock;
}

/** A decoder behind encoder features: condition, noisy target, loss, clamped sample, gradients, optimiser steps. */
export function agentCase(dir: string, one: AgentCase): (() => ParityResult) | undefined {
  const make = decoderOf(one.config);
  if (!make) return undefined;
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    for (const precision of ["float64", "float32"] as const) {
      tidy(() => {
        const decoder = golden.load(make, precision, "state.");
        const input = (name: string): Tensor => golden.tensor(`in.${name}`, precision);
        const features = input("features").tracked();
        const loss = (): Tensor => {
          const noise = { action: input("noise"), z: input("z") };
          return decoder.loss(input("actions"), decoder.condition(features), noise);
        };
        const compare = (name: string, got: Tensor, factor: number): void =>
          compareOutput(name, got, factor, golden, one, precision, worst);
        const condition = decoder.condition(features);
        compare("cond", condition, 2e-5);
        compare("sample", decoder.sample(input("z"), condition), 2e-5);
        compare("loss", loss(), 1e-5);
        const noisy = noisyTarget(input("actions"), input("noise"), one.config.action_noise_mult);
        worst.compare("noisy_actions", noisy.data, golden.numbers("out.noisy_actions"), STORED_AS_FLOAT32);

        const named = decoder.namedParameters();
        const gradients: [string, Tensor][] = [
          ...named.map(([name, p]): [string, Tensor] => [`grad.${name}`, p]),
          ["grad_in.features", features],
        ];
        compareGradientsOf(loss(), gradients, golden, one, one.params_without_grad, precision, worst);
        if (one.adam) compareAdam(one.adam, named, loss, golden, one.params_without_grad, precision, worst);
        decoder.dispose();
      });
    }
    return worst.result();
  };
}
