/** The policy behind a socket against a server of its own making: raw frames and bytes by hand; see openpi/raw.ts. */
import type { Socket } from "node:net";
import ndarray from "ndarray";
import { expect, test } from "vitest";
import { OPENPI } from "../../../vla/libero/protocols.ts";
import type { Observation } from "../../../vla/observation.ts";
import { adapted } from "../../../vla/policies/adapter.ts";
import { remotePolicy } from "../../../vla/policies/remote.ts";
import type { EpisodeKey } from "../../../vla/policies/source.ts";
import { BINARY, bytes, CLOSE, packArray, RawServer, serverFrame, TEXT } from "../openpi/raw.ts";

const PATIENCE = { retryMs: 50, tries: 100, metadataMs: 5000, answerMs: 5000 };
const key = { instruction: "go", protocol: { name: "nina", actionsPerQuery: 10 } } as EpisodeKey;

const picture = (first: number) =>
  ndarray(
    Uint8Array.from({ length: 12 }, (_, i) => first + i),
    [2, 2, 3],
  );
const seen: Observation = {
  agentview_image: picture(0),
  robot0_eye_in_hand_image: picture(100),
  robot0_joint_pos: new Float64Array(7),
  robot0_eef_pos: Float64Array.of(1, 2, 3),
  robot0_eef_quat: Float64Array.of(0, 0, 1, 0),
  robot0_gripper_qpos: Float64Array.of(0.5, -0.5),
};

const say = (socket: Socket, opcode: number, payload: Buffer | string): void => {
  socket.write(serverFrame(opcode, Buffer.from(payload)));
};
const metadata = (text: string) => (socket: Socket) => say(socket, BINARY, bytes(text));
const OURS = "<82 ab>camera_size<02 a8>seed_key<a9>nina/seed";

/** What openpi's server answers: float32 at an odd offset. */
const rows = (...numbers: number[]) =>
  Buffer.concat([
    bytes("<82 a7>actions"),
    packArray("<3c>f4", [numbers.length / 7, 7], Buffer.from(Float32Array.from(numbers).buffer)),
    bytes("<ad>server_timing<81 a8>infer_ms<cb 3ff8000000000000>"),
  ]);
const ACTIONS = rows(1, 2, 3, 4, 5, 6, -1, 0, 0, 0, 0, 0, 0, 1);

async function ask(
  answer: (socket: Socket, message: Buffer) => void,
  greet = metadata("<80>"),
  patience = PATIENCE,
) {
  await using server = await RawServer.start(greet, answer);
  using source = await remotePolicy(server.url, patience);
  return await source.forEpisode(key).act(seen, "go");
}

test("asks in the bytes that openpi's server reads, and reads its chunk", async () => {
  const asked: string[] = [];
  await using server = await RawServer.start(metadata(OURS), (socket, message) => {
    asked.push(message.toString("latin1"));
    say(socket, BINARY, ACTIONS);
  });
  using source = await remotePolicy(server.url);
  expect(source).toMatchObject({ name: server.url, untrained: false, cameraSize: 2, hasDensity: false });
  const policy = source.forEpisode(key);
  policy.reset(258);
  expect((await policy.act(seen, "go")).actions).toEqual([
    Float64Array.of(1, 2, 3, 4, 5, 6, -1),
    Float64Array.of(0, 0, 0, 0, 0, 0, 1),
  ]);
  await policy.act(seen, "go");
  // Under a protocol that turns pictures itself they are turned once, too.
  await adapted(source.forEpisode({ ...key, protocol: OPENPI }), OPENPI).act(seen, "go");
  // Turned by 180°: the last pixel comes first, its red before its blue.
  const image = (first: number) => {
    const levels = [9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2].map((level) => first + level);
    const shape = bytes("<c405>dtype<a3>|u1<c405>shape<93 02 02 03>");
    return Buffer.concat([bytes("<84 c40b>__ndarray__<c3 c404>data<c40c>"), Buffer.from(levels), shape]);
  };
  const state = Buffer.from(Float64Array.of(1, 2, 3, 0, 0, Math.PI, 0.5, -0.5).buffer);
  const fields = Buffer.concat([
    bytes("<b1>observation/image"),
    image(0),
    bytes("<b7>observation/wrist_image"),
    image(100),
    bytes("<b1>observation/state<84 c40b>__ndarray__<c3 c404>data<c440>"),
    state,
    bytes("<c405>dtype<a3 3c>f8<c405>shape<91 08 a6>prompt<a2>go"),
  ]).toString("latin1");
  // The seed of an episode goes with its first question.
  expect(asked).toEqual([`\x85${fields}\xa9nina/seed\xcd\x01\x02`, `\x84${fields}`, `\x84${fields}`]);
});

test("sends servers that ask for nothing else what openpi's client sends: 224 pixels, no seed", async () => {
  let asked = "";
  await ask((socket, message) => {
    asked = message.toString("latin1");
    say(socket, BINARY, ACTIONS);
  });
  expect(asked.split("shape\x93\xcc\xe0\xcc\xe0\x03")).toHaveLength(3); // (224, 224, 3), twice
  expect(asked).not.toContain("nina/seed");
});

test("gives each episode a connection while it lasts, and uses it again", async () => {
  const connections: number[] = [];
  await using server = await RawServer.start(metadata(OURS), (socket, _message, connection) => {
    connections.push(connection);
    say(socket, BINARY, ACTIONS);
  });
  using source = await remotePolicy(server.url, PATIENCE);
  const [first, second] = [source.forEpisode(key), source.forEpisode(key)];
  for (const policy of [first, second, first]) await policy.act(seen, "go");
  first[Symbol.dispose]?.();
  const third = source.forEpisode(key);
  for (const policy of [third, second]) await policy.act(seen, "go");
  expect(connections).toEqual([0, 1, 0, 0, 1]);
});

test("an answer to an episode that was given up is not taken for the next one's", async () => {
  let questions = 0;
  await using server = await RawServer.start(metadata("<80>"), (socket) => {
    if (questions++ > 0) say(socket, BINARY, ACTIONS);
  });
  using source = await remotePolicy(server.url, PATIENCE);
  const policy = source.forEpisode(key);
  const givenUp = expect(policy.act(seen, "go")).rejects.toThrow("given up");
  while (questions === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  policy[Symbol.dispose]?.();
  await givenUp;
  await source.forEpisode(key).act(seen, "go");
  expect(server.accepted).toBe(2);
});

test("waits for a server that is not there yet", async () => {
  const { url } = await RawServer.start(metadata("<80>")).then(async (server) => {
    const { url } = server;
    await server[Symbol.asyncDispose]();
    return { url };
  });
  const refused = { ...PATIENCE, retryMs: 1, tries: 3 };
  await expect(remotePolicy(url, refused)).rejects.toThrow(/^ws:.*: connect ECONNREFUSED/);
  const waiting = remotePolicy(url, PATIENCE);
  await using _server = await RawServer.start(metadata("<80>"), undefined, Number(new URL(url).port));
  using source = await waiting;
  expect(source.name).toBe(url);
});

test.each<[what: string, error: RegExp, answer: (socket: Socket) => void]>([
  ["text", /the server failed: Traceback: \\u\{a\}no$/, (socket) => say(socket, TEXT, "Traceback: \nno")],
  [
    "a goodbye",
    /ended the connection \(code 1011, "no"\)/,
    (socket) => say(socket, CLOSE, bytes("<03f3>no")),
  ],
  ["a lost connection", /ended the connection \(code 1006\)/, (socket) => socket.destroy()],
  [
    "a gigabyte",
    /Max payload size exceeded/,
    (socket) => socket.write(serverFrame(BINARY, Buffer.alloc(9), 2 ** 30)),
  ],
  ["no frame", /Invalid WebSocket frame/, (socket) => socket.write(bytes("<ff ff>"))],
  ["no message", /byte 0: expected 1 more bytes/, (socket) => say(socket, BINARY, "")],
  ["no map", /answer: expected a map, found 5/, (socket) => say(socket, BINARY, bytes("<05>"))],
  ["no actions", /actions: expected numbers.* found nothing/, (socket) => say(socket, BINARY, bytes("<80>"))],
  [
    "actions with keys that are text",
    /actions: expected numbers.* found a map of 4/,
    (socket) =>
      say(
        socket,
        BINARY,
        bytes("<81 a7>actions<84 ab>__ndarray__<c3 a4>data<c400 a5>dtype<a3 3c>f4<a5>shape<92 00 07>"),
      ),
  ],
])("%s in place of an answer is an error that names the server", async (_, error, answer) => {
  const asked = ask(answer);
  await expect(asked).rejects.toThrow(/^ws:\/\/127\.0\.0\.1:\d+/);
  await expect(asked).rejects.toThrow(error);
});

test("two answers to one question are an error", async () => {
  await using server = await RawServer.start(metadata("<80>"), (socket) => {
    const answer = serverFrame(BINARY, ACTIONS);
    socket.write(Buffer.concat([answer, answer]));
  });
  using source = await remotePolicy(server.url, PATIENCE);
  const policy = source.forEpisode(key);
  await policy.act(seen, "go");
  await expect(policy.act(seen, "go")).rejects.toThrow(
    "expected an answer for each question, found one more",
  );
});

test("no answer in time is an error that tells whether the server lives", async () => {
  const hurried = { ...PATIENCE, metadataMs: 200, answerMs: 200 };
  const error = /within 0.2 s, found none; GET \/healthz: status 200$/;
  await expect(ask(() => {}, metadata("<80>"), hurried)).rejects.toThrow(error);
  await expect(
    ask(
      () => {},
      () => {},
      hurried,
    ),
  ).rejects.toThrow(error);
});

test.each(["http://127.0.0.1:80", "ws://", "127.0.0.1:8000"])("%s is no address", async (address) => {
  await expect(remotePolicy(address)).rejects.toThrow("--policy: expected ws://host:port");
});
