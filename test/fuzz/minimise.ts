/**
 * The smallest input that still fails in the same way: delta debugging (Zeller and Hildebrandt, "Simplifying and
 * Isolating Failure-Inducing Input", 2002), which drops ever smaller pieces, then makes the bytes left plain.
 *
 * @param fails  whether an input still fails in the same way
 * @param until  when to be content with what there is, milliseconds since 1970
 */
export async function minimise(
  bytes: Uint8Array,
  fails: (bytes: Uint8Array) => Promise<boolean>,
  until: number,
): Promise<Uint8Array> {
  let best = bytes;
  const attempt = async (candidate: Uint8Array): Promise<boolean> => {
    if (Date.now() >= until || !(await fails(candidate))) return false;
    best = candidate;
    return true;
  };

  for (let size = Math.ceil(best.length / 2); size >= 1 && best.length > 0; ) {
    let smaller = false;
    for (let at = 0; at < best.length; ) {
      const without = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (await attempt(without)) smaller = true;
      else at += size;
    }
    if (Date.now() >= until) return best;
    if (!smaller || size > 1) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  for (let at = 0; at < best.length; at++) {
    if (best[at] === PLAIN) continue;
    const plain = Buffer.from(best);
    plain[at] = PLAIN;
    await attempt(plain);
  }
  return best;
}

/** The digit 0: harmless in text, and no more special than others in binary. */
const PLAIN = 0x30;
