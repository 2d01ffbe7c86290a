import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { encode, WireArray } from "../../../vla/openpi/msgpack.ts";
import { serve } from "../../../vla/serve/server.ts";
import { BINARY, CLOSE, frame, PING, RawClient } from "../../vla/openpi/raw.ts";
import { BrokenLaw, type Reader } from "../reader.ts";

const FILE = "frames.bin";
const picture = new WireArray("|u1", [1, 1, 3], Uint8Array.of(1, 2, 3));
const request = Buffer.from(
  encode(
    new Map<string, string | WireArray>([
      ["observation/image", picture],
      ["observation/wrist_image", picture],
      ["observation/state", new WireArray("<f8", [8], new Float64Array(8))],
      ["prompt", "go"],
    ]),
  ),
);
const seed = (...frames: readonly Buffer[]) => ({ file: FILE, bytes: Buffer.concat(frames) });

/** For a client that neither ends its connection nor says anything: longer than an answer takes. */
const QUIET_MS = 300;

/** What a client sends on a websocket, byte for byte: whatever it is, the server lives, and lets the policy go. */
const reader: Reader = {
  seeds: [
    seed(frame(BINARY, request), frame(CLOSE, Buffer.alloc(0))),
    seed(frame(PING, Buffer.from("here")), frame(BINARY, request), frame(BINARY, request)),
  ],
  mutations: [],
  async prepare() {
    let [begun, over] = [0, 0];
    const told: string[] = [];
    const server = await serve(
      {
        metadata: new Map([["policy", "fuzz"]]),
        policyFor() {
          begun++;
          return {
            name: "fuzz",
            reset() {},
            act: () => ({ actions: [[0, 0, 0, 0, 0, 0, 0]] }),
            [Symbol.dispose]: () => over++,
          };
        },
      },
      { host: "127.0.0.1", port: 0, mostClients: 4, idleSeconds: 30, log: (line) => told.push(line) },
    );
    return async (path) => {
      told.length = 0;
      const client = await RawClient.open(server.url);
      client.socket.end(readFileSync(path));
      const frames = await Promise.race([client.readAll(), sleep(QUIET_MS, null)]);
      client.socket.destroy();
      const response = await fetch(new URL("/healthz", server.url.replace(/^ws/, "http")));
      if ((await response.text()) !== "OK\n") throw new BrokenLaw("a server that is not well");
      for (let i = 0; over !== begun && i < 100; i++) await sleep(5);
      if (over !== begun) throw new BrokenLaw(`${begun - over} policies that are never let go`);
      const why = told.at(-1)?.replace(/^client \d+: /, "");
      if (why !== undefined) throw new Error(`${path}: ${why.replace(/ \(error \w+\)$/, "")}`);
      return `${frames === null ? "no end" : frames.map(({ opcode }) => opcode).join(" ")}`;
    };
  },
};

export default reader;
