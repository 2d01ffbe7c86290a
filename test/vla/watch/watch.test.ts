import { request } from "node:http";
import { decode } from "fast-png";
import ndarray from "ndarray";
import { afterEach, describe, expect, test } from "vitest";
import type { Observation } from "../../../vla/observation.ts";
import type { Policy } from "../../../vla/policies/policy.ts";
import { Live, type LiveState } from "../../../vla/watch/live.ts";
import { WatchServer } from "../../../vla/watch/server.ts";

const picture = ndarray(
  Uint8Array.from({ length: 12 }, (_, i) => i),
  [2, 2, 3],
);
const seen = { agentview_image: picture, robot0_eye_in_hand_image: picture } as unknown as Observation;

/** Asks nothing of what it sees. */
const still: Policy = { name: "still", reset() {}, act: () => ({ actions: [[0, 0, 0, 0, 0, 0, 0]] }) };

const counts = { done: 1, planned: 4, table: "a <b> table" };
const newLive = () => new Live("still on mini", 300, counts);

describe("Live", () => {
  test("knows who plays, how far, and what was seen last", async () => {
    const live = newLive();
    const policy = live.follow("task 0", still);
    live.follow("task 1", still);
    expect(await policy.act(seen, "do")).toEqual({ actions: [[0, 0, 0, 0, 0, 0, 0]] });
    live.stepped("task 0", 7);
    expect(live.state).toMatchObject({ done: 1, planned: 4, isOver: false });
    expect(live.state.playing).toEqual([
      { id: 1, label: "task 0", steps: 7, mostSteps: 300, pictures: 1 },
      { id: 2, label: "task 1", steps: 0, mostSteps: 300, pictures: 0 },
    ]);
    expect(decode(live.picture(1, "agentview")!)).toMatchObject({ width: 2, height: 2 });
    expect(live.picture(1, "agentview")).toBe(live.picture(1, "agentview"));
    expect(live.picture(2, "agentview")).toBe(null);
    live.finished("task 0");
    expect(live.picture(1, "agentview")).toBe(null);
    expect(live.state.playing.map(({ id }) => id)).toEqual([2]);
  });

  test("a policy is told of its end as it was before", () => {
    let ended = 0;
    const policy = newLive().follow("task 0", { ...still, [Symbol.dispose]: () => ended++ });
    policy[Symbol.dispose]?.();
    expect(ended).toBe(1);
  });
});

describe("WatchServer", () => {
  let server: WatchServer | null = null;
  afterEach(() => server?.[Symbol.asyncDispose]());

  interface Reply {
    readonly status: number;
    readonly type: string | undefined;
    readonly body: Buffer;
  }

  function ask(
    path: string,
    options: { method?: string; host?: string; heard?: () => void } = {},
  ): Promise<Reply> {
    const { port, host } = new URL(server!.url);
    const headers = { host: options.host ?? host };
    return new Promise((resolve, reject) => {
      request({ port, path, method: options.method, headers, host: "127.0.0.1" }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part) => {
          parts.push(part);
          options.heard?.();
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode!,
            type: response.headers["content-type"],
            body: Buffer.concat(parts),
          }),
        );
      })
        .on("error", reject)
        .end();
    });
  }

  test("has a page, pictures, and nothing else", async () => {
    const live = newLive();
    await live.follow("task 0", still).act(seen, "do");
    server = await WatchServer.open(live, 0);
    expect(await ask("/")).toMatchObject({ status: 200, type: "text/html; charset=utf-8" });
    expect(await ask("/page.js")).toMatchObject({ status: 200, type: "text/javascript; charset=utf-8" });
    const { body, ...png } = await ask("/picture/1/eye_in_hand?3");
    expect(png).toEqual({ status: 200, type: "image/png" });
    expect(decode(body)).toMatchObject({ width: 2, height: 2 });
    for (const path of [
      "/picture/2/agentview",
      "/picture/1/toString",
      "/toString",
      "/../live.ts",
      "//",
      "/%",
    ])
      expect((await ask(path)).status).toBe(404);
    expect((await ask("/", { method: "POST" })).status).toBe(405);
    expect((await ask("/", { host: "rebound.example" })).status).toBe(403);
  });

  test("tells what changes, and ends with the run", async () => {
    const live = newLive();
    server = await WatchServer.open(live, 0);
    let told: Promise<Reply> | undefined;
    await new Promise<void>((heard) => {
      told = ask("/events", { heard });
    });
    live.note("something");
    await server[Symbol.asyncDispose]();
    server = null;
    const events = (await told!).body.toString().trim().split("\n\n");
    const states: LiveState[] = events.map((event) => JSON.parse(event.replace(/^data: /, "")));
    expect(states.at(0)).toMatchObject({ note: "", table: "a <b> table", isOver: false });
    expect(states.at(-1)).toMatchObject({ note: "something", isOver: true });
  });

  test("refuses a port that is taken", async () => {
    server = await WatchServer.open(newLive(), 0);
    const { port } = new URL(server.url);
    await expect(WatchServer.open(newLive(), Number(port))).rejects.toThrow(
      `--watch: no page at 127.0.0.1:${port}: listen EADDRINUSE`,
    );
  });
});
