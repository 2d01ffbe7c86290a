import {
  type HostTensor,
  type Step,
  showShape,
  type Tensor,
  type TensorView,
  watchKernels,
} from "../core/index.ts";

/** A training step came upon NaN or an infinity; the message tells which op made the first one. */
export class NonFiniteError extends Error {
  override readonly name: string = "NonFiniteError";
  /** Copies of the batch that did it. */
  readonly inputs: readonly HostTensor[];

  constructor(message: string, inputs: readonly HostTensor[]) {
    super(message);
    this.inputs = inputs;
  }
}

/**
 * Where the first number that is not finite comes from when `body` computes eagerly, in words: an input, a parameter,
 * or the first op that makes one of finite numbers (or NaN of infinities: masks hold −∞ on purpose).
 */
export function firstNonFinite(
  body: () => void,
  inputs: readonly Tensor[],
  parameters: readonly (readonly [name: string, parameter: Tensor])[],
): string {
  for (const [i, input] of inputs.entries()) {
    const at = input.data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) return `input ${i} ${showShape(input.shape)} holds ${input.data[at]} at ${at}`;
  }
  for (const [name, { data }] of parameters) {
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) return `parameter ${name} holds ${data[at]} at ${at}`;
  }
  const names = new Map(parameters.map(([name, parameter]) => [parameter.storage, name]));
  let last = "none yet";
  let found: string | null = null;
  watchKernels((call) => {
    if (found !== null) return;
    const read = call.ins.flatMap((x) => names.get(x.storage) ?? []);
    if (read.length > 0) last = read.join(", ");
    if (isCulprit(call)) found = `${describe(call)}; last parameters read: ${last}`;
  }, body);
  return found ?? "computed eagerly, all numbers are finite";
}

const holdsNaN = ({ data }: TensorView): boolean => data.some(Number.isNaN);
const allFinite = ({ data }: TensorView): boolean => data.every(Number.isFinite);

function isCulprit({ out, ins }: Step): boolean {
  if (allFinite(out)) return false;
  return ins.every(allFinite) || (holdsNaN(out) && !ins.some(holdsNaN));
}

function describe({ op, out, ins }: Step): string {
  const at = out.data.findIndex((value) => !Number.isFinite(value));
  const from = ins.map((x) => `${showShape(x.shape)} with numbers up to ${largest(x).toPrecision(3)}`);
  return `op ${op.name} makes ${out.data[at]} at ${at} of ${showShape(out.shape)} from ${from.join(" and ")}`;
}

const largest = ({ data }: TensorView): number => {
  let most = 0;
  for (const value of data) most = Math.max(most, Math.abs(value));
  return most;
};
