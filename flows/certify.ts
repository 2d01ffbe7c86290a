/**
 * Tries the laws of bijectors on a flow in a checkpoint, or of a module, and prints a certificate: `npx tsx
 * flows/certify.ts --help`. Exits with 0 when every law holds, 1 when one does not, or when the checkpoint or the
 * module cannot be used, 2 for wrong arguments.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { openTensors } from "../core/index.ts";
import { type Certificate, certify, type LawReport } from "./certificate.ts";
import { outlineFromModule, type Tensors } from "./flow-module.ts";
import { flowFromNames } from "./from-names.ts";

const schema = {
  usage: "npx tsx flows/certify.ts [CHECKPOINT] [--flow MODULE] [options]",
  description:
    "Round trips, log-determinants, gradients, both precisions, base and samples of a normalizing flow, as a whole\n" +
    "and layer by layer. Exit code 0: every law holds; 1: one does not, or the flow cannot be read; 2: wrong arguments.",
  positionals: {
    "CHECKPOINT?":
      "a .safetensors file, a folder with a model.safetensors, or a PyTorch .ckpt, .pt, .pth or .bin; " +
      "without it the parameters of --flow are drawn from the seed",
  },
  options: {
    flow: {
      type: "string",
      help:
        "module whose default export is a function (tensors, path) => ({ make, prefix, condition }), " +
        "where make builds the flow, prefix stands before its tensors' names (default none) and condition " +
        "is the width of its condition (default 0); without it the flow is read off the tensors' names",
    },
    prefix: {
      type: "string",
      help:
        "what stands before layers.0 in the names, where several flows are found, or another prefix than " +
        "the module's",
    },
    weights: {
      type: "string",
      choices: ["model", "ema"],
      help: "which weights of a PyTorch training checkpoint (default model)",
    },
    seed: {
      type: "integer",
      least: 0,
      default: 0,
      help: "of the points at which the laws are tried, and of drawn parameters",
    },
    points: {
      type: "integer",
      least: 1,
      default: 3,
      help: "at which determinants are computed in each layer",
    },
    json: { type: "boolean", help: "print the certificate as JSON" },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  const { CHECKPOINT } = args.positionals;
  const path = CHECKPOINT === undefined ? undefined : fileIn(CHECKPOINT);
  if (path === undefined && args.flow === undefined)
    throw new UsageError("expected CHECKPOINT, --flow, or both (see --help)");
  if (path === undefined && args.prefix !== undefined)
    throw new UsageError("--prefix: expected a CHECKPOINT with such names, got none");
  if (args.weights !== undefined && !isTorch(path))
    throw new UsageError(`--weights: expected a PyTorch checkpoint, got ${path ?? "none"}`);
  using checkpoint = path === undefined ? undefined : openTensors(path);
  const tensors = args.weights === "ema" ? checkpoint?.averages() : checkpoint?.tensors;
  const outline =
    args.flow === undefined
      ? flowFromNames(tensors as Tensors, args.prefix)
      : await outlineFromModule(args.flow, tensors, path);
  const certificate = certify(outline.make, {
    state: tensors,
    prefix: args.prefix ?? outline.prefix,
    condition: outline.condition,
    seed: args.seed,
    points: args.points,
  });
  if (!checkpoint && !args.json) console.log(`parameters drawn from seed ${args.seed}\n`);
  console.log(args.json ? JSON.stringify(certificate) : describe(certificate));
  if (!certificate.holds) process.exitCode = 1;
});

function fileIn(path: string): string {
  return existsSync(path) && statSync(path).isDirectory() ? join(path, "model.safetensors") : path;
}

function isTorch(path = ""): boolean {
  return /\.(ckpt|pt|pth|bin)$/.test(path);
}

/** The certificate for a reader: laws, what is broken, layers by kind, then the worst input. */
function describe(certificate: Certificate): string {
  const { holds, seed, laws, findings, layers, conditionEffect, worst } = certificate;
  const short = (value: number): string => value.toExponential(1);
  const sized = ({ error, tolerance }: LawReport): string =>
    `error ${short(error).padStart(8)}  allowed ${short(tolerance)}`;
  const lines: string[] = [];
  let subject = "";
  for (const law of laws) {
    // Of layers the one where a law is nearest to breaking is shown.
    const about = law.subject.startsWith("layer") ? "each layer" : law.subject;
    if (about !== subject) lines.push(...(subject ? [""] : []), about);
    subject = about;
    const where = about === law.subject ? "" : `  ${law.subject}`;
    lines.push(`${law.holds ? "holds " : "BROKEN"}  ${law.law.padEnd(56)} ${sized(law)}${where}`);
  }
  if (findings.length > 0) lines.push("", "broken");
  for (const finding of findings) {
    const at = finding.at ? `: ${finding.at}` : "";
    lines.push(`${finding.subject}: ${finding.law}${at}: ${sized(finding).replace(/ +/g, " ")}`);
  }
  lines.push("", "layer  kind                   condition number  saturated  moved by condition");
  for (const { index, kind, conditionNumber, saturation, conditionEffect: moved } of layers) {
    const share = saturation === null ? "" : `${(100 * saturation).toFixed(1)} %`;
    const effect = moved === null || moved === 0 ? "" : short(moved);
    const layer = `${String(index).padStart(5)}  ${kind.padEnd(21)} ${short(conditionNumber).padStart(17)}`;
    lines.push(`${layer}  ${share.padEnd(9)}  ${effect}`.trimEnd());
  }
  if (conditionEffect !== null) lines.push("", `another condition moves points by ${short(conditionEffect)}`);
  const shown = worst.x.slice(0, 8).map((v) => v.toPrecision(4));
  const more = worst.x.length > shown.length ? `, … (${worst.x.length} numbers)` : "";
  lines.push(`worst input in float32: error ${short(worst.error)} at x = ${shown.join(", ")}${more}`);
  lines.push("", `${holds ? "every law holds" : "NOT a valid flow"} (seed ${seed})`);
  return lines.join("\n");
}
