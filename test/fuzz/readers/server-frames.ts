import { readFileSync } from "node:fs";
import { readChunk } from "../../../vla/openpi/adapter.ts";
import { Connection } from "../../../vla/openpi/connection.ts";
import { encode, WireArray, type WireValue } from "../../../vla/openpi/msgpack.ts";
import { BINARY, CLOSE, RawServer, serverFrame } from "../../vla/openpi/raw.ts";
import { BrokenLaw, type Reader } from "../reader.ts";

const FILE = "frames.bin";
const actions = new WireArray("<f8", [2, 7], new Float64Array(14).fill(0.5));
const message = (...entries: readonly [string, WireValue][]) =>
  serverFrame(BINARY, Buffer.from(encode(new Map(entries))));
const seed = (...frames: readonly Buffer[]) => ({ file: FILE, bytes: Buffer.concat(frames) });

/**
 * What a policy server sends, byte for byte: metadata, an answer; then it hangs up. Told as one error that names the
 * server.
 */
const reader: Reader = {
  seeds: [
    seed(
      message(["policy", "fuzz"]),
      message(["actions", actions], ["policy_timing", new Map([["ms", 1.5]])]),
    ),
    seed(message(), message(["actions", actions]), serverFrame(CLOSE, Buffer.from([3, 232]))),
  ],
  mutations: [],
  async prepare() {
    let bytes = Buffer.alloc(0);
    // The metadata come by themselves, the rest is the answer.
    const metadata = (): number => (bytes.length > 1 && bytes[1] < 126 ? 2 + bytes[1] : bytes.length);
    const server = await RawServer.start(
      (socket) =>
        metadata() < bytes.length ? socket.write(bytes.subarray(0, metadata())) : socket.end(bytes),
      (socket) => socket.end(bytes.subarray(metadata())),
    );
    const patience = { retryMs: 1, tries: 1, metadataMs: 1000, answerMs: 1000 };
    return async (path) => {
      bytes = readFileSync(path);
      try {
        using connection = (await Connection.open(server.url, patience)).connection;
        const chunk = readChunk(await connection.ask(new Map()), server.url);
        if (chunk.actions.length === 0) throw new BrokenLaw("no actions");
        return `${chunk.actions.length} actions`;
      } catch (error) {
        const { message } = error as Error;
        if (!message.startsWith(server.url)) throw error;
        throw new Error(message.replace(server.url, path), { cause: error });
      }
    };
  },
};

export default reader;
