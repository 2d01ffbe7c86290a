/** The server against a client of its own making: raw frames and bytes by hand; see openpi/raw.ts. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { Observation } from "../../../vla/observation.ts";
import type { ActionChunk, Policy } from "../../../vla/policies/policy.ts";
import { type PolicyServer, type ServerOptions, serve } from "../../../vla/serve/server.ts";
import {
  BINARY,
  bytes,
  CLOSE,
  type Frame,
  frame,
  PING,
  packArray,
  packObservation,
  RawClient,
  TEXT,
} from "../openpi/raw.ts";

const ACTION = [1, 2, 3, 4, 5, 6, 7];
const log: string[] = [];
let server: PolicyServer | undefined;

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
  log.length = 0;
});

/** Serves a policy that plans by `act`. @returns what it was told, in order. */
async function start(
  act: (seen: Observation, instruction: string) => Promise<ActionChunk> | ActionChunk = () => ({
    actions: [ACTION],
  }),
  options: Partial<ServerOptions> = {},
): Promise<string[]> {
  const told: string[] = [];
  const policyFor = (client: number): Policy => ({
    name: "test",
    reset: (seed) => told.push(`${client}: reset ${seed}`),
    act(seen, instruction) {
      told.push(`${client}: ${instruction}`);
      return act(seen, instruction);
    },
    [Symbol.dispose]: () => told.push(`${client}: over`),
  });
  const metadata = new Map([["policy", "test"]]);
  server = await serve(
    { metadata, policyFor },
    {
      host: "127.0.0.1",
      port: 0,
      mostClients: 100,
      idleSeconds: 30,
      log: (line) => log.push(line),
      ...options,
    },
  );
  return told;
}

/** A client that has read the metadata. */
async function open(path?: string): Promise<RawClient> {
  const client = await RawClient.open((server as PolicyServer).url, path);
  expect(await client.read()).toEqual({ opcode: BINARY, payload: bytes("<81 a6>policy<a4>test") });
  return client;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

const reasonOf = ({ opcode, payload }: Frame): string => {
  expect(opcode).toBe(CLOSE);
  return `${payload.readUInt16BE()} ${payload.subarray(2)}`;
};

/** What openpi's client reads: byte by byte but for the times. */
const ANSWER = new RegExp(
  `^${bytes("<83 a7>actions").toString("latin1")}${packedActions()}` +
    `${bytes("<ad>policy_timing<81 a8>infer_ms<cb>").toString("latin1")}[^]{8}` +
    `${bytes("<ad>server_timing").toString("latin1")}[\x81\x82]${bytes("<a8>infer_ms<cb>").toString("latin1")}[^]{8}` +
    `(${bytes("<ad>prev_total_ms<cb>").toString("latin1")}[^]{8})?$`,
);

function packedActions(): string {
  const data = Buffer.from(Float64Array.from(ACTION).buffer).toString("latin1");
  const [before, after] = [
    bytes("<84 c40b>__ndarray__<c3 c404>data<c438>"),
    bytes("<c405>dtype<a3 3c>f8<c405>shape<92 01 07>"),
  ];
  return (before.toString("latin1") + data + after.toString("latin1")).replace(/[?\\^$.*+()[\]{}|]/g, "\\$&");
}

describe("openpi's own client", () => {
  test("reads metadata, then an answer for each observation, with times", async () => {
    const told = await start();
    const client = await open("/any/path");
    for (const prompt of ["push the drawer shut", "open it again"]) {
      client.send(packObservation(prompt));
      const { opcode, payload } = await client.read();
      expect(opcode).toBe(BINARY);
      const [, previous] =
        payload.toString("latin1").match(ANSWER) ?? expect.fail(payload.toString("latin1"));
      expect(previous === undefined).toBe(prompt === "push the drawer shut");
    }
    client.socket.end(frame(CLOSE, Buffer.alloc(0)));
    await until(() => told.includes("0: over"));
    expect(told).toEqual(["0: reset 0", "0: push the drawer shut", "0: open it again", "0: over"]);
  });

  test("has its pictures turned back and its state taken apart", async () => {
    let seen: Observation | undefined;
    await start((observation) => {
      seen = observation;
      return { actions: [ACTION] };
    });
    const client = await open();
    const picture = Buffer.from(Uint8Array.from({ length: 12 }, (_, i) => i)); // 2 × 2
    const state = Float64Array.of(0.1, 0.2, 0.3, 0, Math.PI / 2, 0, 0.04, -0.04);
    client.send(packObservation("go", { side: 2, picture, state }));
    await client.read();
    const { agentview_image: image, robot0_eef_quat: quaternion, ...rest } = seen as Observation;
    expect([image.get(0, 0, 0), image.get(0, 1, 1), image.get(1, 0, 2), image.get(1, 1, 0)]).toEqual([
      9, 7, 5, 0,
    ]);
    for (const [i, value] of [0, Math.SQRT1_2, 0, Math.SQRT1_2].entries())
      expect(quaternion[i]).toBeCloseTo(value, 15);
    expect(rest).toMatchObject({
      robot0_eef_pos: Float64Array.of(0.1, 0.2, 0.3),
      robot0_gripper_qpos: Float64Array.of(0.04, -0.04),
      robot0_joint_pos: new Float64Array(7).fill(Number.NaN), // nobody told
    });
    client.socket.destroy();
  });

  test("gets answers in the order of its requests, one worked on at a time", async () => {
    let [working, most] = [0, 0];
    const told = await start(async () => {
      most = Math.max(most, ++working);
      await sleep(2);
      working--;
      return { actions: [ACTION] };
    });
    const client = await open();
    const prompts = Array.from({ length: 20 }, (_, i) => `request ${i}`);
    client.socket.write(Buffer.concat(prompts.map((prompt) => frame(BINARY, packObservation(prompt)))));
    for (const _ of prompts) expect((await client.read()).opcode).toBe(BINARY);
    expect(told.slice(1)).toEqual(prompts.map((prompt) => `0: ${prompt}`));
    expect(most).toBe(1);
    client.socket.destroy();
  });

  test("may name the seed of an episode; otherwise noise goes on", async () => {
    const told = await start();
    const client = await open();
    const seed = "<a9>nina/seed<cd 0102>";
    for (const extra of [seed, "", seed]) {
      client.send(packObservation("go", { extra }));
      await client.read();
    }
    expect(told).toEqual(["0: reset 258", "0: go", "0: go", "0: reset 258", "0: go"]);
    client.socket.destroy();
  });

  test("learns that its policy failed by a text frame, but not how", async () => {
    await start(() => {
      throw new Error("secret/path is no file");
    });
    const client = await open();
    client.send(packObservation("go"));
    const [error, closed] = await client.readAll();
    const [, id] = error.payload.toString().match(/^error ([0-9a-f]{8}): the policy failed$/) ?? [];
    expect(error.opcode).toBe(TEXT);
    expect(reasonOf(closed)).toMatch(/^1011 Internal server error/);
    expect(log).toEqual([`client 0: secret/path is no file (error ${id})`]);
  });

  test("finds GET /healthz, and nothing else", async () => {
    await start();
    const url = (server as PolicyServer).url.replace("ws", "http");
    const [health, other] = await Promise.all([fetch(`${url}/healthz`), fetch(url)]);
    expect([health.status, await health.text(), other.status]).toEqual([200, "OK\n", 426]);
  });
});

const image = packArray("|u1", [2, 2, 3], Buffer.alloc(12));
const observation = (parts: Record<string, Buffer>): Buffer =>
  Buffer.concat([
    bytes(`<8${Object.keys(parts).length}>`),
    ...Object.entries(parts).flatMap(([key, value]) => [
      bytes(`<d9${key.length.toString(16).padStart(2, "0")}>${key}`),
      value,
    ]),
  ]);
const sound = {
  "observation/image": image,
  "observation/wrist_image": image,
  "observation/state": packArray("<3c>f4", [8], Buffer.alloc(32)),
  prompt: bytes("<a2>go"),
};
const nan = Buffer.from(Float64Array.of(0, 0, Number.NaN, 0, 0, 0, 0, 0).buffer);

describe("a client that sends nonsense is told, and the others are served", () => {
  test.each<[what: string, message: Buffer, error: RegExp]>([
    ["no message", Buffer.alloc(0), /expected 1 more bytes, found 0/],
    ["a cut one", packObservation("go").subarray(0, 300), /more bytes, found/],
    ["lengths of 4 GB", bytes("<df ffffffff dd ffffffff>"), /found \[\]|expected/],
    ["deep nesting", Buffer.alloc(100_000, 0x91), /expected values nested at most 16 deep/],
    ["no map", bytes("<93 01 02 03>"), /observation: expected a map, found \[1, 2, 3\]/],
    [
      "no picture",
      observation({ ...sound, "observation/image": bytes("<c0>") }),
      /expected a square picture.*found null/,
    ],
    [
      "arrays with keys that are text",
      observation({
        ...sound,
        "observation/image": bytes("<84 ab>__ndarray__<c3 a4>data<c40100 a5>dtype<a3>|u1<a5>shape<91 01>"),
      }),
      /observation\/image: expected a square picture, \|u1 \(N, N, 3\), found a map of 4/,
    ],
    [
      "a picture of floats",
      observation({ ...sound, "observation/image": packArray("<3c>f4", [1, 1, 3], Buffer.alloc(12)) }),
      /found <f4 \(1, 1, 3\)/,
    ],
    [
      "an oblong picture",
      observation({ ...sound, "observation/image": packArray("|u1", [2, 1, 3], Buffer.alloc(6)) }),
      /found \|u1 \(2, 1, 3\)/,
    ],
    [
      "an empty picture",
      observation({ ...sound, "observation/image": packArray("|u1", [0, 0, 3], Buffer.alloc(0)) }),
      /found \|u1 \(0, 0, 3\)/,
    ],
    [
      "a state of 7",
      observation({ ...sound, "observation/state": packArray("<3c>f8", [7], Buffer.alloc(56)) }),
      /found <f8 \(7\)/,
    ],
    [
      "a state of integers",
      observation({ ...sound, "observation/state": packArray("<3c>i8", [8], Buffer.alloc(64)) }),
      /found <i8 \(8\)/,
    ],
    [
      "a state that is not finite",
      observation({ ...sound, "observation/state": packArray("<3c>f8", [8], nan) }),
      /expected finite numbers, found NaN at 2/,
    ],
    ["a prompt of bytes", observation({ ...sound, prompt: bytes("<c4026767>") }), /prompt: expected text/],
    [
      "a long prompt",
      observation({ ...sound, prompt: Buffer.concat([bytes("<da0bb8>"), Buffer.alloc(3000, "x")]) }),
      /prompt: expected text of at most 2000/,
    ],
    [
      "a seed below 0",
      observation({ ...sound, "nina/seed": bytes("<ff>") }),
      /nina\/seed: expected a whole number from 0 .* found -1/,
    ],
  ])("%s", async (_, message, expected) => {
    await start();
    const [hostile, other] = [await open(), await open()];
    hostile.send(message);
    const [error, closed] = await hostile.readAll();
    expect(error.payload.toString()).toMatch(/^error [0-9a-f]{8}: request/);
    expect(error.payload.toString()).toMatch(expected);
    expect(reasonOf(closed)).toMatch(/^1011 /);
    other.send(packObservation("go"));
    expect((await other.read()).opcode).toBe(BINARY);
    other.socket.destroy();
  });

  test("text", async () => {
    await start();
    const client = await open();
    client.socket.write(frame(TEXT, Buffer.from("{}")));
    expect((await client.readAll())[0].payload.toString()).toMatch(/expected a binary frame, found text/);
  });
});

describe("memory is bounded", () => {
  test.each<[what: string, sent: Buffer, code: number]>([
    ["a message that is said to have a gigabyte", frame(BINARY, Buffer.alloc(100), 2 ** 30), 1009],
    ["a compressed one", Buffer.concat([bytes("<c2 81>"), Buffer.alloc(5)]), 1002],
    [
      "an endless number of fragments",
      Buffer.concat([bytes("<02 80>"), Buffer.alloc(4), Buffer.alloc(6 * 20_000, bytes("<00 80 00000000>"))]),
      1008,
    ],
  ])("%s ends the connection", async (_, sent, code) => {
    await start();
    const client = await open();
    client.socket.write(sent);
    expect(reasonOf((await client.readAll())[0])).toMatch(new RegExp(`^${code} `));
  });

  test("a client that asks and never reads is asked nothing more, and sent away", async () => {
    // Answers of 5.6 MB: more than the kernel takes.
    const actions = Array.from({ length: 100_000 }, () => ACTION);
    const told = await start(() => ({ actions }), { idleSeconds: 1 });
    const client = await open();
    client.socket.pause();
    for (let i = 0; i < 200; i++) client.send(packObservation("go"));
    await until(() => told.includes("0: over"));
    expect(told.filter((line) => line === "0: go").length).toBeLessThan(5);
    client.socket.destroy();
  });

  test("a client that pings and never reads is cut off", async () => {
    await start();
    const client = await open();
    client.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame(PING, Buffer.alloc(125))));
    const flood = () => client.socket.write(pings, (error) => error ?? flood());
    flood();
    await until(() => log.includes("client 0: pings without reading"));
    client.socket.destroy();
  });

  test("clients that ask nothing are sent away, whole requests alone count", async () => {
    await start(undefined, { idleSeconds: 1 });
    const [silent, slow] = [await open(), await open()];
    const request = frame(BINARY, packObservation("go"));
    let sent = 0;
    const trickle = setInterval(() => slow.socket.write(request.subarray(sent, ++sent)), 100);
    for (const client of [silent, slow])
      expect(reasonOf((await client.readAll())[0])).toBe("1008 No request within 1 s.");
    clearInterval(trickle);
  });

  test("a hundred are served at once, each its own; one too many is told so", async () => {
    const told = await start();
    const clients = await Promise.all(Array.from({ length: 100 }, () => open()));
    await expect(open()).rejects.toThrow("HTTP/1.1 503 Service Unavailable");
    for (const client of clients) client.send(packObservation("go"));
    for (const client of clients) expect((await client.read()).opcode).toBe(BINARY);
    expect(new Set(told).size).toBe(200);
    for (const client of clients) client.socket.destroy();
    await until(() => told.length === 300);
    const next = await open();
    next.socket.destroy();
  });

  test("connections that ask for no websocket are not kept", async () => {
    await start(undefined, { mostClients: 1 });
    const { port } = new URL((server as PolicyServer).url);
    let ended = 0;
    const sockets = Array.from({ length: 80 }, () =>
      connect(Number(port), "127.0.0.1")
        .on("error", () => {})
        .on("close", () => ended++),
    );
    await until(() => ended >= 80 - 65);
    for (const socket of sockets) socket.destroy();
  });
});
