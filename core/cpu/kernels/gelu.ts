/** GELU and its derivative in one pass, for plans that need both: most of the work is the same. */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load } from "./loads.ts";
import { geluBoth } from "./math.ts";
import { F32x4 } from "./values.ts";

/** Numbers per tile, a multiple of four. */
const CHUNK = 4096;

/** out = gelu(x) and slope = gelu′(x), the same bits as each of them alone. All are float32 and of one size. */
export function geluWithSlopeWasm(out: TensorView, slope: TensorView, x: TensorView): Ready {
  const args = [addressOf(out), addressOf(slope), addressOf(x), x.size];
  return wasmCall(kernel("gelu with slope", 4, build), args, Math.ceil(x.size / CHUNK), x.size * 0.003);
}

function build(code: KernelCode): void {
  const { f, args, tileBegin, tileEnd } = code;
  const first = f.let(tileBegin.mul(CHUNK));
  const last = f.let(f.let(tileEnd.mul(CHUNK)).min(args[3]));
  f.if(first.lt(last), () => {
    const [value, slope, x] = args.slice(0, 3).map((address) => f.let(address.add(first.shl(2))));
    const count = f.let(last.sub(first));
    const end = f.let(x.add(count.and(-4).shl(2)));
    f.if(x.ne(end), () =>
      f.repeatWhile(
        () => {
          const both = geluBoth(code, f.let(load(F32x4, x)));
          f.store(value, both.value());
          f.store(slope, both.slope());
          for (const pointer of [value, slope, x]) f.bump(pointer, 16);
        },
        () => x.ne(end),
      ),
    );
    const rest = f.let(count.and(3));
    f.if(rest, () => {
      const both = geluBoth(code, loadTail(f, x, rest));
      storeTail(f, value, both.value(), rest);
      storeTail(f, slope, both.slope(), rest);
    });
  });
}
