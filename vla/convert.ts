/** Converts checkpoints to safetensors: `npx tsx vla/convert.ts --help`. */
import {
  type CliSchema,
  countElements,
  type DTypeName,
  f32ToBf16,
  f32ToF16,
  type HostTensor,
  itemSize,
  type LazyTensor,
  openSafetensors,
  openTorch,
  parseCli,
  runMain,
  stateDict,
  type TypedArray,
  toFloat32,
  UsageError,
  writeSafetensors,
} from "../core/index.ts";

const SCHEMA = {
  usage: "npx tsx vla/convert.ts IN OUT.safetensors [options]",
  description:
    "Converts a PyTorch checkpoint or a safetensors file to safetensors, tensor by tensor.\n" +
    "Nothing in a checkpoint is executed. Tensors that share memory are written under each of their names.",
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

const TARGETS = { f32: "F32", bf16: "BF16", f16: "F16" } as const satisfies Record<string, DTypeName>;
const FLOATS: readonly DTypeName[] = ["F64", "F32", "F16", "BF16"];

await runMain(() => {
  const args = parseCli(SCHEMA, process.argv.slice(2));
  const { IN: input, OUT: output } = args.positionals;
  if (output === undefined && !args.list) throw new UsageError("missing OUT.safetensors (see --help)");
  if (output !== undefined && args.list) throw new UsageError("--list writes nothing: leave OUT away");
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
    writeSafetensors(output, withProgress(convertFloats(weights.tensors, args.dtype)), { format: "pt" });
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
    const tensors = lazyMap(stateDict(file, { weights: which ?? "model" }, path), (ref) => file.read(ref));
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

/** Floating point tensors in the element type asked for; integers, booleans and 8-bit floats as they are. */
function convertFloats(
  tensors: ReadonlyMap<string, LazyTensor>,
  to: keyof typeof TARGETS | undefined,
): Map<string, LazyTensor> {
  const convert = (name: string, tensor: LazyTensor): LazyTensor => {
    if (to === undefined || TARGETS[to] === tensor.dtype || !FLOATS.includes(tensor.dtype)) return tensor;
    // By way of float32, as PyTorch converts too: float64 to a 16-bit type rounds twice.
    const read = (): TypedArray => {
      const values = toFloat32(name, { ...tensor, data: tensor.read() });
      return to === "f32" ? values : to === "bf16" ? f32ToBf16(values) : f32ToF16(values);
    };
    return { dtype: TARGETS[to], shape: tensor.shape, read };
  };
  return new Map([...tensors].map(([name, tensor]) => [name, convert(name, tensor)]));
}

/** Shows on a terminal which tensor is being read. */
function withProgress(tensors: ReadonlyMap<string, LazyTensor>): ReadonlyMap<string, LazyTensor> {
  if (!process.stderr.isTTY) return tensors;
  let done = 0;
  const announce = (name: string): void => {
    done++;
    process.stderr.write(`\r\x1b[K${done}/${tensors.size} ${name}${done === tensors.size ? "\n" : ""}`);
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
    process.stdout.write(`${name}\t${dtype}\t[${shape.join(", ")}]\n`);
  }
  const averages = hasEma ? ", and as many running averages (--weights ema)" : "";
  process.stdout.write(`${tensors.size} tensors, ${bytes} bytes${averages}\n`);
}
