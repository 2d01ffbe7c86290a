import { sha256 } from "../platform/node.ts";

/**
 * The seed a policy gets for one episode: the first 32 bits of SHA-256 over (run seed, suite, task, initial state).
 * A function of these alone, so an episode repeats whatever ran before it, whichever tasks were chosen.
 */
export function episodeSeed(runSeed: number, suite: string, task: string, init: number): number {
  // JSON keeps the fields apart: ("a", "b1") and ("ab", "1") must not meet.
  const key = JSON.stringify([runSeed, suite, task, init]);
  const { buffer, byteOffset } = sha256().update(key).bytes();
  return new DataView(buffer, byteOffset).getUint32(0, true);
}
