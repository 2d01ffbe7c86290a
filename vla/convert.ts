/** Converts checkpoints to safetensors: `npx tsx vla/convert.ts --help`. */
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import {
  countElements,
  type DTypeName,
  f32ToBf16,
  f32ToF16,
  fromPieces,
  itemSize,
  type LazyTensor,
  openTensors,
  piecesOf,
  printable,
  TENSOR_FILES,
  toFloat32,
  writeSafetensorsInTurns,
} from "../core/index.ts";
import { withProgress } from "./tensor-progress.ts";

const SCHEMA = {
  usage: "npx tsx vla/convert.ts IN OUT.safetensors [options]",
  description:
    "Converts a PyTorch checkpoint or a safetensors file to safetensors, tensor by tensor.\n" +
    "Nothing in a checkpoint is executed. Tensors that share memory are written under each of their names.\n" +
    "Numbers that a narrower type cannot hold are counted on stderr.",
  positionals: {
    IN: "checkpoint (.pt, .pth, .ckpt, .bin), .safetensors, or the .index.json of a sharded one",
    "OUT?": "file to write; not needed with --list",
  },
  options: {
    dtype: {
      type: "string",
      choices: ["f32", "bf16", "f16"],
      help: "convert floating point tensors; left out: keep",
    },
    weights: {
      type: "string",
      choices: ["model", "ema"],
      help: "trained weights or their running averages; required when a checkpoint has both",
    },
    list: { type: "boolean", help: "print names, types and shapes, write nothing" },
  },
} as const satisfies CliSchema;

type Target = keyof typeof TARGETS;
const TARGETS = { f32: "F32", bf16: "BF16", f16: "F16" } as const satisfies Record<string, DTypeName>;
/** Largest number and smallest with all its digits. */
const RANGES: Readonly<Record<Target, readonly [most: number, least: number]>> = {
  f32: [3.4028234663852886e38, 2 ** -126],
  bf16: [3.3895313892515355e38, 2 ** -126],
  f16: [65504, 2 ** -14],
};
const MAX_WARNINGS = 20;
const FLOATS: readonly DTypeName[] = ["F64", "F32", "F16", "BF16"];

await runMain(async () => {
  const args = parseCli(SCHEMA, process.argv.slice(2));
  const { IN: input, OUT: output } = args.positionals;
  if (output === undefined && !args.list) throw new UsageError("missing OUT.safetensors (see --help)");
  if (args.list && (output ?? args.dtype) !== undefined)
    throw new UsageError("--list writes nothing: leave OUT and --dtype away");
  if (output?.endsWith(".safetensors") === false)
    throw new UsageError(`expected OUT.safetensors, got ${output}`);

  if (!/\.(pt|pth|ckpt|bin|safetensors|index\.json)$/.test(input))
    throw new UsageError(`expected ${TENSOR_FILES}, got ${input}`);
  if (args.weights === "ema" && /\.(safetensors|index\.json)$/.test(input))
    throw new UsageError("--weights ema: safetensors files hold one set of weights");
  using file = openTensors(input);
  const tensors = args.weights === "ema" ? file.averages() : file.tensors;
  if (output === undefined) {
    printList(tensors, file.hasAverages);
  } else if (file.hasAverages && args.weights === undefined) {
    throw new UsageError(
      `${input} has trained weights and their running averages: choose --weights model or ema`,
    );
  } else {
    // Exiting removes the temporary file; the writer lets signals through between two pieces.
    process.once("SIGINT", () => process.exit(130));
    process.once("SIGTERM", () => process.exit(143));
    const losses: Loss[] = [];
    const converted = convertFloats(tensors, args.dtype, losses);
    await writeSafetensorsInTurns(output, withProgress(converted), { format: "pt" });
    if (args.dtype !== undefined) warnOf(losses, args.dtype);
  }
});

/** What narrowing did to a tensor beyond rounding: how many finite numbers became infinite, how many are too small. */
interface Loss {
  readonly name: string;
  readonly count: number;
  infinite: number;
  /** Below the type's normal range, with digits lost; `zero` of them all digits. */
  small: number;
  zero: number;
}

/**
 * Floating point tensors in the element type asked for; integers, booleans and 8-bit floats as they are. What is lost
 * is added to `losses` as tensors are read.
 */
function convertFloats(
  tensors: ReadonlyMap<string, LazyTensor>,
  to: Target | undefined,
  losses: Loss[],
): Map<string, LazyTensor> {
  const convert = (name: string, tensor: LazyTensor): LazyTensor => {
    if (to === undefined || TARGETS[to] === tensor.dtype || !FLOATS.includes(tensor.dtype)) return tensor;
    return fromPieces(TARGETS[to], tensor.shape, function* (unit) {
      const loss = { name, count: countElements(tensor.shape) as number, infinite: 0, small: 0, zero: 0 };
      losses.push(loss);
      for (const data of piecesOf(tensor, unit)) {
        // By way of float32, as PyTorch converts too: float64 to a 16-bit type rounds twice.
        const values = toFloat32(name, { ...tensor, data });
        const exact = data instanceof Float64Array ? data : values;
        const converted = to === "f32" ? values : to === "bf16" ? f32ToBf16(values) : f32ToF16(values);
        addLoss(loss, exact, toFloat32(name, { dtype: TARGETS[to], shape: [], data: converted }), to);
        yield converted;
      }
    });
  };
  return new Map([...tensors].map(([name, tensor]) => [name, convert(name, tensor)]));
}

function addLoss(loss: Loss, exact: Float32Array | Float64Array, narrow: Float32Array, to: Target): void {
  const [most, least] = RANGES[to];
  for (let i = 0; i < exact.length; i++) {
    const after = Math.abs(narrow[i]);
    if (after > most && Number.isFinite(exact[i])) loss.infinite++;
    if (after < least && narrow[i] !== exact[i]) {
      loss.small++;
      if (after === 0) loss.zero++;
    }
  }
}

/** Names each tensor that is infinite now; tells of small numbers in sum, since most checkpoints have some. */
function warnOf(losses: readonly Loss[], to: Target): void {
  const [most, least] = RANGES[to];
  const infinite = losses.filter((loss) => loss.infinite > 0);
  const warnings = infinite
    .slice(0, MAX_WARNINGS)
    .map(
      (loss) =>
        `${printable(loss.name)}: ${loss.infinite} of ${loss.count} numbers beyond ${to}'s ${most} became infinite`,
    );
  if (infinite.length > MAX_WARNINGS) {
    warnings.push(`numbers became infinite in ${infinite.length - MAX_WARNINGS} more tensors`);
  }
  const small = losses.filter((loss) => loss.small > 0);
  if (small.length > 0) {
    const sum = (key: "small" | "zero"): number => small.reduce((total, loss) => total + loss[key], 0);
    warnings.push(
      `${sum("small")} numbers in ${small.length} tensors below ${to}'s ${least} lost digits, ` +
        `${sum("zero")} of them became 0`,
    );
  }
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
}

function printList(tensors: ReadonlyMap<string, LazyTensor>, hasAverages: boolean): void {
  let bytes = 0;
  for (const [name, { dtype, shape }] of tensors) {
    bytes += countElements(shape)! * itemSize(dtype);
    process.stdout.write(`${printable(name)}\t${dtype}\t[${shape.join(", ")}]\n`);
  }
  const averages = hasAverages ? ", and as many running averages (--weights ema)" : "";
  process.stdout.write(`${tensors.size} tensors, ${bytes} bytes${averages}\n`);
}
