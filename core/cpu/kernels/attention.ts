/** Which kernel serves a call of attention, or of its gradient. */
import { type Attention, composed } from "../../attention.ts";
import { grad } from "../../autograd.ts";
import type { Ready, TensorView } from "../../device.ts";
import { noGrad, withGradients } from "../../op.ts";
import { broadcastStrides } from "../../shape.ts";
import { Tensor } from "../../tensor.ts";
import { tidy } from "../../tidy.ts";
import { addressOf } from "../storage.ts";
import { attendByBlocks, blocksFit, type Slopes, slopesByBlocks } from "./attention-blocks.ts";
import { attendByRows, rowsFit } from "./attention-rows.ts";
import type { Task } from "./attention-task.ts";

/** Queries up to which going through them one by one is faster than in blocks. */
const FEW_QUERIES = 5;

export function attentionWasm(out: TensorView, ins: readonly TensorView[], attrs: Attention): Ready {
  const task = taskOf(ins, attrs);
  const { T, S, d, mask, bias } = task;
  const byRows = !mask && !bias && rowsFit(S, d);
  if (byRows && (T <= FEW_QUERIES || !blocksFit(S, d))) return attendByRows(task, out);
  if (servedByBlocks(task)) return attendByBlocks(task, out);
  return byProducts(out, ins, (own) => composed(own, attrs));
}

/** The gradient for input `wanted`, which holds queries, keys or values; dy is the one for the output. */
export function attentionGradWasm(
  out: TensorView,
  dy: TensorView,
  ins: readonly TensorView[],
  attrs: Attention,
  wanted: number,
): Ready | null {
  const task = taskOf(ins, attrs);
  const { T, heads, d } = task;
  const own = attrs.parts.filter(({ input }) => input === wanted).map(({ at }) => at);
  const apart = own.every((a, i) => own.every((b, j) => i === j || Math.abs(a - b) >= heads * d));
  if (T === 0) return null;
  if (!apart || !servedByBlocks(task)) {
    return byProducts(out, [dy, ...ins], ([slope, ...own]) => {
      for (const x of own) x.tracked();
      const y = withGradients(() => composed(own, attrs));
      return grad(y, [own[wanted]], { dy: slope })[0] as Tensor;
    });
  }
  const slopes = attrs.parts.map(({ input, at }) => (input === wanted ? addressOf(out) + 4 * at : null));
  const run = slopesByBlocks(task, dy, slopes as unknown as Slopes);
  if (own.length * heads * d === out.shape[2]) return run;
  return () => {
    out.data.fill(0); // numbers that are no part of queries, keys or values
    run();
  };
}

/** A bias has a number for each key, or there is one key. */
const servedByBlocks = ({ S, d, bias }: Task): boolean =>
  blocksFit(S, d) && (bias === null || S === 1 || bias.strides[3] === 1);

/** As other ops compute it, each with its own kernel, in memory that is free again after the call. */
function byProducts(
  out: TensorView,
  ins: readonly TensorView[],
  compute: (ins: readonly Tensor[]) => Tensor,
): Ready {
  return () =>
    tidy(() => {
      const own = ins.map((x) => Tensor.over(x.storage, x.shape));
      out.data.set(noGrad(() => compute(own)).data);
    });
}

function taskOf(ins: readonly TensorView[], attrs: Attention): Task {
  const { heads, width, scale, causal, parts } = attrs;
  const [B, T] = ins[parts[0].input].shape;
  const S = ins[parts[1].input].shape[1];
  const places = parts.map(({ input, at }) => ({
    address: addressOf(ins[input]) + 4 * at,
    row: 4 * ins[input].shape[2],
  }));
  const mask = attrs.mask === null ? null : addressOf(ins[attrs.mask]);
  const added = attrs.bias === null ? null : ins[attrs.bias];
  const bias = added && {
    address: addressOf(added),
    strides: broadcastStrides(added.shape, [B, heads, T, S]),
  };
  return { B, T, S, heads, d: width / heads, scale, causal, places, mask, bias };
}
