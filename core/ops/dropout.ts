import { checkShare, refuse } from "../check.ts";
import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { philox, Random, type Stretch } from "../random.ts";
import type { Tensor } from "../tensor.ts";

interface Mask {
  /** Probability of a zero. */
  readonly p: number;
  /** Where the mask's random numbers lie. */
  readonly stretch: Stretch;
}

/** Numbers decided by one group of four Philox blocks. */
const GROUP = 32;
/** A number is dropped when its 16 random bits are below this: p is rounded to a multiple of 2⁻¹⁶. */
export const thresholdOf = (p: number): number => Math.round(p * 65_536);

export const op = defineOp<Mask>({
  name: "dropout",
  shape: ([x]) => x.shape,
  // Devices have no integers of 64 bits, which Philox multiplies to: the host makes the mask.
  formula([x, kept], _mask, param) {
    const [from, mask] = [x, kept].map((operand) => operand.as([x.size]));
    return each([x.size], (i) => mask.at(i).lessThan(1, 0, from.at(i).mul(param(0))));
  },
  params: ({ p }) => [1 / (1 - p)],
  hosted: ([x], mask) => [{ shape: x.shape, numbers: () => maskOf(x.size, mask) }],
  volatile: true,
  backward: (dy, _ins, _out, mask) => [masked(dy, mask)], // linear: the same mask again
  samples: [
    { ...sample([5, 7]), attrs: { p: 0.5, stretch: { key: [1, 2], first: 3, rest: [4, 5, 6] } } },
    { ...sample([67]), attrs: { p: 0.1, stretch: { key: [7, 0], first: 0, rest: [0, 1, 0] } } },
  ],
});

/** 1 for each number that is kept, else 0. */
function maskOf(size: number, { p, stretch: { key, first, rest } }: Mask): Float32Array {
  const threshold = thresholdOf(p);
  const mask = new Float32Array(size);
  const words = Array.from({ length: 4 }, () => new Uint32Array(4)); // of the group's blocks
  for (let i = 0; i < size; i++) {
    const place = i % GROUP;
    if (place === 0) {
      words.forEach((block, lane) => {
        philox(block, [first + (i / GROUP) * 4 + lane, ...rest], key);
      });
    }
    // The group's numbers are taken from its four blocks in turn, first the low halves of their first words.
    const half = place >> 2;
    const word = words[place & 3][half >> 1];
    const bits = half & 1 ? word >>> 16 : word & 0xffff;
    mask[i] = bits < threshold ? 0 : 1;
  }
  return mask;
}

const masked = (x: Tensor, mask: Mask): Tensor => apply(op, [x], mask);

/**
 * Zeroes each number with probability p, in [0, 1), and scales the others by 1/(1 − p). The mask comes from the next
 * numbers of `random` and is computed again on the way back, not stored.
 */
export function dropout(x: Tensor, p: number, random: Random): Tensor {
  checkShare(p, "dropout", "a probability");
  if (!(random instanceof Random)) refuse("dropout", "a Random", random);
  return masked(x, { p, stretch: random.take(4 * Math.ceil(x.size / GROUP)) });
}
