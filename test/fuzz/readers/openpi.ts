import { readFileSync } from "node:fs";
import { readRequest } from "../../../vla/openpi/adapter.ts";
import { decode, encode, WireArray, type WireValue } from "../../../vla/openpi/msgpack.ts";
import { BrokenLaw, type Reader } from "../reader.ts";

const FILE = "request.msgpack";
const picture = new WireArray(
  "|u1",
  [2, 2, 3],
  Uint8Array.from({ length: 12 }, (_, i) => i),
);

const request = (entries: readonly (readonly [string, WireValue])[] = []) => ({
  file: FILE,
  bytes: encode(
    new Map<string, WireValue>([
      ["observation/image", picture],
      ["observation/wrist_image", picture],
      ["observation/state", new WireArray("<f8", [8], Float64Array.of(1, 2, 3, 0, 1.5, 0, 0.04, -0.04))],
      ["prompt", "push the drawer shut"],
      ...entries,
    ]),
  ),
});

/** What a client of `vla/serve.ts` sends: the message, then what it asks. */
const reader: Reader = {
  seeds: [
    request(),
    request([["nina/seed", 2 ** 31]]),
    request([
      ["other", [null, true, -5, 2 ** 40, 1.5, new Map([["nested", Uint8Array.of(1)]]), "x".repeat(300)]],
    ]),
  ],
  mutations: [],
  prepare: () => (path) => {
    const message = decode(readFileSync(path), path);
    const { seen, instruction, seed } = readRequest(message, path);
    if (!Number.isFinite(seen.robot0_eef_quat[3]) || instruction.length > 2000)
      throw new BrokenLaw("what is asked");
    if (Buffer.compare(encode(decode(encode(message), path)), encode(message)) !== 0)
      throw new BrokenLaw("a message that is written otherwise than it is read");
    return `a request with seed ${seed}`;
  },
};

export default reader;
