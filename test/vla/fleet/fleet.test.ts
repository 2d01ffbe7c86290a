/** The queue with a real Redis server, and the script as its users run it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { simulatedManifest, simulateRun } from "../../../benchmarks/simulated-fleet.ts";
import { type EpisodeLine, UNTIMED } from "../../../vla/eval/results.ts";
import type { EpisodeId } from "../../../vla/eval/setup.ts";
import { Board } from "../../../vla/fleet/board.ts";
import { type EpisodeRecord, unpacked } from "../../../vla/fleet/record.ts";
import { takeEpisodes } from "../../../vla/fleet/work.ts";
import { CutLine, hasRedis, RedisServer } from "./redis-server.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** Whole episodes on a busy machine. */
const EPISODES = { timeout: 300_000 };

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(script: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, ["--import", "tsx", script, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (part) => (stdout += part));
  child.stderr.on("data", (part) => (stderr += part));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code) => resolve({ code, stdout, stderr })),
  );
  return { child, ended };
}

const fleet = (url: string, ...args: string[]) => start("vla/fleet.ts", args, { REDIS_URL: url });

test("a Redis that is not there is told in one line, without its password", EPISODES, async () => {
  const { code, stderr } = await fleet("redis://:secret@127.0.0.1:1", "watch", "run").ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^Error: redis:\/\/127\.0\.0\.1:1: expected a Redis server: .*ECONNREFUSED.*\n$/);
});

describe.skipIf(!hasRedis)("with redis-server, where it can be started", () => {
  let server: RedisServer;
  let names = 0;
  const nextName = (): string => `test-${process.pid}-${++names}`;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const recordOf = (id: EpisodeId, steps = 1): EpisodeRecord => ({
    line: { ...id, steps } as unknown as EpisodeLine,
    timing: { ...id, ...UNTIMED },
  });
  const settings = (signal = new AbortController().signal) => ({ slots: 2, lostAfter: 60, signal });

  test(
    "10,000 episodes on 100 workers: each is played once, and all are collected in order",
    EPISODES,
    async () => {
      const { played, collected } = await simulateRun(server.url, nextName(), 10_000, 100);
      const expected = simulatedManifest(10_000).tasks.flatMap(({ task }) =>
        Array.from({ length: 1000 }, (_, init) => JSON.stringify([task, "none", init])),
      );
      expect(collected).toEqual(expected);
      expect(played.size).toBe(10_000);
      expect([...played.values()].every((times) => times === 1)).toBe(true);
    },
  );

  test("a run may be put there again and again, another of its name may not", async () => {
    const manifest = simulatedManifest(20);
    await using board = await Board.open(server.url, nextName());
    await expect(board.manifest()).rejects.toThrow("expected a run in Redis, found none");
    for (let i = 0; i < 3; i++) {
      expect(await board.claim(manifest)).toEqual(manifest);
      await board.fill(manifest);
    }
    expect(await board.queue.getWaitingCount()).toBe(20);
    expect(await board.claim(simulatedManifest(30))).toEqual(manifest);
    await board.remove();
    expect(await board.connection.keys(`*${board.name}*`)).toEqual([]);
  });

  test("the first result of an episode stays, and what has one is not played", async () => {
    const manifest = simulatedManifest(10);
    await using board = await Board.open(server.url, nextName());
    await board.claim(manifest);
    await board.fill(manifest);
    const done = { task: "task 3", init: 0 };
    await board.keep(done, recordOf(done, 7));
    await board.keep(done, recordOf(done, 8));
    const played: string[] = [];
    await takeEpisodes(
      board,
      manifest,
      async (id) => {
        played.push(id.task);
        return recordOf(id);
      },
      settings(),
    );
    expect(played).not.toContain("task 3");
    expect(played).toHaveLength(9);
    const steps = (await board.records(manifest)).map((each) => unpacked(each).line.steps);
    expect(steps).toEqual([1, 1, 1, 7, 1, 1, 1, 1, 1, 1]);
    await board.remove();
  });

  test("what cannot be played is tried elsewhere, given up, and played when it is put there again", async () => {
    const manifest = simulatedManifest(10);
    await using board = await Board.open(server.url, nextName());
    await board.claim(manifest);
    await board.fill(manifest);
    let isBroken = true;
    let tries = 0;
    const play = async (id: EpisodeId) => {
      if (id.task !== "task 4") return recordOf(id);
      tries++;
      if (isBroken) throw new Error("no memory");
      return recordOf(id);
    };
    await takeEpisodes(board, manifest, play, settings());
    expect(tries).toBe(3);
    expect(await board.counts(manifest)).toMatchObject({ done: 9, failed: 1, isOver: true });
    expect(await board.failures()).toEqual(["no memory"]);
    isBroken = false;
    await board.fill(manifest);
    await takeEpisodes(board, manifest, play, settings());
    expect(await board.counts(manifest)).toMatchObject({ done: 10, failed: 0 });
    await board.remove();
  });

  test("a worker that is interrupted gives back what it plays", async () => {
    const manifest = simulatedManifest(10);
    await using board = await Board.open(server.url, nextName());
    await board.claim(manifest);
    await board.fill(manifest);
    const interrupt = new AbortController();
    await takeEpisodes(
      board,
      manifest,
      async () => {
        interrupt.abort();
        return null;
      },
      settings(interrupt.signal),
    );
    expect(await board.queue.getWaitingCount()).toBe(10);
    await takeEpisodes(board, manifest, async (id) => recordOf(id), settings());
    expect(await board.counts(manifest)).toMatchObject({ done: 10, failed: 0 });
    await board.remove();
  });

  test("a Redis that goes away is waited for", async () => {
    const manifest = simulatedManifest(20);
    using line = await CutLine.to(server.url);
    const url = new URL(server.url);
    [url.hostname, url.port] = ["127.0.0.1", `${line.port}`];
    const said: unknown[] = [];
    const spy = vi.spyOn(console, "error").mockImplementation((text) => said.push(text));
    try {
      await using board = await Board.open(url.href, nextName());
      await board.claim(manifest);
      await board.fill(manifest);
      let played = 0;
      await takeEpisodes(
        board,
        manifest,
        async (id) => {
          if (++played === 5) {
            line.cut();
            setTimeout(() => void line.mend(), 500);
          }
          return recordOf(id);
        },
        { ...settings(), lostAfter: 1 },
      );
      expect(await board.counts(manifest)).toMatchObject({ done: 20, failed: 0 });
      const shown = `redis://127.0.0.1:${line.port}`;
      expect(said).toEqual([`${shown}: gone; waiting for it`, `${shown}: back`]);
      await board.remove();
    } finally {
      spy.mockRestore();
    }
  });

  test("what a killed worker played is taken by others: the bytes of one machine", EPISODES, async () => {
    const folder = mkdtempSync(join(tmpdir(), "nina-fleet-"));
    const [policy, marker, one, many] = ["policy.ts", "hangs", "one", "many"].map((name) =>
      join(folder, name),
    );
    // One picture per episode is enough; where HANGS names a file it writes that, and never answers.
    writeFileSync(
      policy,
      `import { writeFileSync } from "node:fs";
      const actions = Array.from({ length: 300 }, (_, i) => [0, 0, 0.2 * Math.sin(i / 20), 0, 0, 0, -1]);
      const act = () => {
        if (!process.env.HANGS) return { actions };
        writeFileSync(process.env.HANGS, "");
        return new Promise(() => {});
      };
      const forEpisode = () => ({ name: "waving", reset() {}, act });
      export default () => ({ name: "waving", untrained: false, cameraSize: 32, hasDensity: false, forEpisode });`,
    );
    const args = ["--policy", policy, "--tasks", "8", "--episodes", "3"];
    const name = nextName();
    const others: ChildProcess[] = [];
    try {
      const alone = start("vla/eval.ts", [...args, "--out", one, "--workers", "1"], {});
      expect(await fleet(server.url, "enqueue", name, ...args).ended).toMatchObject({ code: 0, stderr: "" });

      const work = ["work", name, ...args, "--workers", "1", "--lost-after", "3"];
      const killed = start("vla/fleet.ts", work, { REDIS_URL: server.url, HANGS: marker });
      others.push(killed.child);
      while (!existsSync(marker) && killed.child.exitCode === null)
        await new Promise((resolve) => setTimeout(resolve, 50));
      killed.child.kill("SIGKILL");
      await killed.ended;

      const refused = fleet(server.url, "work", name, ...args, "--seed", "1");
      const workers = [fleet(server.url, ...work), fleet(server.url, ...work)];
      others.push(...workers.map(({ child }) => child));
      expect(await refused.ended).toMatchObject({
        code: 1,
        stderr: `Error: ${name}: expected the run that is in Redis, found another here: run.seed: 0, and 1\n`,
      });
      const played = (await Promise.all(workers.map(({ ended }) => ended))).map(
        ({ code, stdout, stderr }) => {
          expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
          return Number(/played (\d+) episodes/.exec(stdout)?.[1]);
        },
      );
      expect(played.reduce((sum, each) => sum + each)).toBe(3);

      const collected = await fleet(server.url, "collect", name, many, "--remove").ended;
      expect(collected).toMatchObject({ code: 0, stderr: "" });
      expect((await alone.ended).code).toBe(0);
      for (const file of ["episodes.jsonl", "manifest.json"])
        expect(readFileSync(join(many, file), "utf8")).toBe(readFileSync(join(one, file), "utf8"));
      await using board = await Board.open(server.url, name);
      expect(await board.connection.keys(`*${name}*`)).toEqual([]);
    } finally {
      for (const child of others) child.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  });
});
