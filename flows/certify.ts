/**
 * Tries the laws of bijectors on a flow in a checkpoint, and prints a certificate: `npx tsx flows/certify.ts --help`.
 * Exits with 0 when every law holds, 1 when one does not or the checkpoint cannot be read, 2 for wrong arguments.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type CliSchema,
  type HostTensor,
  type LazyTensor,
  lazily,
  openSafetensors,
  openTorch,
  parseCli,
  runMain,
  stateDict,
} from "../core/index.ts";
import { type Certificate, certify } from "./certificate.ts";
import { type FlowPlan, flowFromNames } from "./from-names.ts";

const schema = {
  usage: "npx tsx flows/certify.ts CHECKPOINT [options]",
  description:
    "Round trips, log-determinants against the autograd Jacobian, batch independence, condition numbers and saturation of a normalizing flow.",
  positionals: { CHECKPOINT: "a .safetensors file, or a PyTorch .ckpt, .pt or .bin" },
  options: {
    flow: {
      type: "string",
      help: "module whose default export takes the checkpoint's tensors and gives { make, prefix, condition }; without it the flow is read off the tensors' names",
    },
    weights: {
      type: "string",
      choices: ["model", "ema"],
      default: "model",
      help: "which weights of a PyTorch training checkpoint",
    },
    seed: { type: "number", default: 0, help: "of the points at which the laws are tried" },
    json: { type: "boolean", help: "print the certificate as JSON" },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  using checkpoint = openCheckpoint(args.positionals.CHECKPOINT, args.weights);
  const { make, prefix, condition } = await planOf(checkpoint.tensors, args.flow);
  const certificate = certify(make, { state: checkpoint.tensors, prefix, condition, seed: args.seed });
  console.log(args.json ? JSON.stringify(certificate) : describe(certificate));
  if (!certificate.holds) process.exitCode = 1;
});

type Tensors = ReadonlyMap<string, HostTensor | LazyTensor>;

function openCheckpoint(path: string, weights: "model" | "ema"): Disposable & { readonly tensors: Tensors } {
  if (!/\.(ckpt|pt|pth|bin)$/.test(path)) {
    const file = openSafetensors(path);
    return { tensors: lazily(file), [Symbol.dispose]: () => file[Symbol.dispose]() };
  }
  const file = openTorch(path, "checkpoint");
  const tensors = new Map(
    [...stateDict(file, { weights }, path)].map(([name, ref]) => [
      name,
      { dtype: ref.dtype, shape: ref.shape, read: () => file.read(ref).data },
    ]),
  );
  return { tensors, [Symbol.dispose]: () => file[Symbol.dispose]() };
}

async function planOf(tensors: Tensors, module: string | undefined): Promise<FlowPlan> {
  if (module === undefined) return flowFromNames(tensors);
  const { default: plan } = (await import(pathToFileURL(resolve(module)).href)) as {
    default?: (tensors: Tensors) => FlowPlan;
  };
  if (typeof plan !== "function") throw new Error(`${module}: expected a function as default export`);
  return plan(tensors);
}

/** The certificate for a reader: laws, then layers by kind, then the worst input. */
function describe({ holds, seed, laws, layers, conditionEffect, worst }: Certificate): string {
  const short = (value: number): string => value.toExponential(1);
  const lines = laws.map(
    ({ law, error, tolerance, holds: ok }) =>
      `${ok ? "holds " : "BROKEN"}  ${law.padEnd(56)} error ${short(error).padStart(8)}  allowed ${short(tolerance)}`,
  );
  lines.push("", "layer  kind                   condition number  saturated");
  for (const { index, kind, conditionNumber, saturation } of layers) {
    const share = saturation === null ? "" : `${(100 * saturation).toFixed(1)} %`;
    lines.push(
      `${String(index).padStart(5)}  ${kind.padEnd(21)} ${short(conditionNumber).padStart(17)}  ${share}`,
    );
  }
  if (conditionEffect !== null) lines.push("", `another condition moves points by ${short(conditionEffect)}`);
  const shown = worst.x.slice(0, 8).map((v) => v.toPrecision(4));
  const more = worst.x.length > shown.length ? `, … (${worst.x.length} numbers)` : "";
  lines.push(`worst input in float32: error ${short(worst.error)} at x = ${shown.join(", ")}${more}`);
  lines.push("", `${holds ? "every law holds" : "NOT a valid flow"} (seed ${seed})`);
  return lines.join("\n");
}
