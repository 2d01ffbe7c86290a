/** Converts checkpoints to safetensors: `npx tsx vla/convert.ts --help`. */
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import {
  bf16ToF32,
  countElements,
  type DTypeName,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  type HostTensor,
  itemSize,
  type LazyTensor,
  openSafetensors,
  openTorch,
  printable,
  stateDict,
  type TypedArray,
  toFloat32,
  writeSafetensorsInTurns,
} from "../core/index.ts";

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

/** A file of named tensors, whatever its format. */
interface Weights extends Disposable {
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** The checkpoint has running averages as well. */
  readonly hasEma: boolean;
}

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

  using weights = openWeights(input, args.weights);
  if (output === undefined) {
    printList(weights);
  } else if (weights.hasEma && args.weights === undefined) {
    throw new UsageError(
      `${input} has trained weights and their running averages: choose --weights model or ema`,
    );
  } else {
    // Exiting removes the temporary file; the writer lets signals through between two pieces.
    process.once("SIGINT", () => process.exit(130));
    process.once("SIGTERM", () => process.exit(143));
    const losses: Loss[] = [];
    const tensors = convertFloats(weights.tensors, args.dtype, losses);
    await writeSafetensorsInTurns(output, withProgress(tensors), { format: "pt" });
    if (args.dtype !== undefined) warnOf(losses, args.dtype);
  }
});

function openWeights(path: string, which: "model" | "ema" | undefined): Weights {
  if (/\.(safetensors|index\.json)$/.test(path)) {
    if (which === "ema") throw new UsageError("--weights ema: safetensors files hold one set of weights");
    const file = openSafetensors(path);
    const tensors = lazyMap(file.tensors, (_, name) => file.read(name));
    return { tensors, hasEma: false, [Symbol.dispose]: () => file[Symbol.dispose]() };
  }
  if (!/\.(pt|pth|ckpt|bin)$/.test(path)) {
    throw new UsageError(`expected a .pt, .pth, .ckpt, .bin, .safetensors or .index.json file, got ${path}`);
  }
  // Lightning keeps hyper-parameters and callbacks beside the weights: their classes are walked over, never built.
  const file = openTorch(path, "checkpoint");
  try {
    const tensors = lazyMap(stateDict(file, { weights: which ?? "model" }, path), (ref) => {
      const tensor = file.read(ref);
      file.verify(ref); // no more reading, unless it is a part of a large storage
      return tensor;
    });
    return { tensors, hasEma: hasEma(file.root), [Symbol.dispose]: () => file[Symbol.dispose]() };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

function hasEma(root: unknown): boolean {
  const callbacks: unknown = root instanceof Map ? root.get("callbacks") : undefined;
  return callbacks instanceof Map && callbacks.has("EMA");
}

function lazyMap<T extends { dtype: DTypeName; shape: readonly number[] }>(
  tensors: ReadonlyMap<string, T>,
  read: (tensor: T, name: string) => HostTensor,
): Map<string, LazyTensor> {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const { dtype, shape } = tensor;
      return [name, { dtype, shape, read: () => read(tensor, name).data }];
    }),
  );
}

/** What narrowing did to a tensor beyond rounding: how many finite numbers became infinite, how many are too small. */
interface Loss {
  readonly name: string;
  readonly count: number;
  readonly infinite: number;
  /** Below the type's normal range, with digits lost; `zero` of them all digits. */
  readonly small: number;
  readonly zero: number;
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
    // By way of float32, as PyTorch converts too: float64 to a 16-bit type rounds twice.
    const read = (): TypedArray => {
      const stored = tensor.read();
      const values = toFloat32(name, { ...tensor, data: stored });
      const exact = stored instanceof Float64Array ? stored : values;
      if (to === "f32") {
        losses.push(countLoss(name, exact, values, to));
        return values;
      }
      const bits = to === "bf16" ? f32ToBf16(values) : f32ToF16(values);
      losses.push(countLoss(name, exact, to === "bf16" ? bf16ToF32(bits) : f16ToF32(bits), to));
      return bits;
    };
    return { dtype: TARGETS[to], shape: tensor.shape, read };
  };
  return new Map([...tensors].map(([name, tensor]) => [name, convert(name, tensor)]));
}

function countLoss(name: string, exact: Float32Array | Float64Array, narrow: Float32Array, to: Target): Loss {
  const [most, least] = RANGES[to];
  let [infinite, small, zero] = [0, 0, 0];
  for (let i = 0; i < exact.length; i++) {
    const after = Math.abs(narrow[i]);
    if (after > most && Number.isFinite(exact[i])) infinite++;
    if (after < least && narrow[i] !== exact[i]) {
      small++;
      if (after === 0) zero++;
    }
  }
  return { name, count: exact.length, infinite, small, zero };
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

/** Shows on a terminal which tensor is being read. */
function withProgress(tensors: ReadonlyMap<string, LazyTensor>): ReadonlyMap<string, LazyTensor> {
  if (!process.stderr.isTTY) return tensors;
  let done = 0;
  const announce = (name: string): void => {
    done++;
    process.stderr.write(
      `\r\x1b[K${done}/${tensors.size} ${printable(name)}${done === tensors.size ? "\n" : ""}`,
    );
  };
  const wrap = (name: string, tensor: LazyTensor): LazyTensor => ({
    ...tensor,
    read() {
      announce(name);
      return tensor.read();
    },
  });
  return new Map([...tensors].map(([name, tensor]) => [name, wrap(name, tensor)]));
}

function printList({ tensors, hasEma }: Weights): void {
  let bytes = 0;
  for (const [name, { dtype, shape }] of tensors) {
    bytes += countElements(shape)! * itemSize(dtype);
    process.stdout.write(`${printable(name)}\t${dtype}\t[${shape.join(", ")}]\n`);
  }
  const averages = hasEma ? ", and as many running averages (--weights ema)" : "";
  process.stdout.write(`${tensors.size} tensors, ${bytes} bytes${averages}\n`);
}
