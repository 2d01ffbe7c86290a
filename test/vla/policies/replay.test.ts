import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, afterEach, describe, expect, vi } from "vitest";
import { LEROBOT, NINA, OPENVLA } from "../../../vla/libero/protocols.ts";
import type { Observation } from "../../../vla/observation.ts";
import type { EpisodeKey } from "../../../vla/policies/index.ts";
import { parseRecordings, replayPolicy } from "../../../vla/policies/replay.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-replay-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => void vi.restoreAllMocks());

/** A recording looks at nothing. */
const unseen = {} as Observation;

function save(value: unknown): string {
  const path = join(folder, "actions.json");
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
  return path;
}

const push = { suite: "mini", task: "push", init: 3, seed: 0, actions: [[0, 0, 0, 0, 0, 0, -1]] };
const episode: EpisodeKey = {
  suite: "mini",
  task: "push",
  told: "push",
  init: 3,
  seed: 0,
  instruction: "push it",
  protocol: NINA,
  contacts: "mujoco-2.3",
  mujoco: "3.14.0",
};

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const recordings = fc.array(
  fc.record({
    suite: fc.string(),
    task: fc.string(),
    swapped: fc.record({ told: fc.string() }),
    perturbed: fc.record({ levels: fc.string() }),
    init: fc.nat(),
    seed: fc.nat(),
    protocol: fc.constantFrom("nina", "openvla"),
    engine: fc.record({ contacts: fc.constantFrom("mujoco-2.3", "native"), mujoco: fc.string() }),
    actions: fc.array(fc.array(finite, { minLength: 7, maxLength: 7 }), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 4 },
);

describe("parseRecordings", () => {
  test.prop([recordings])("reads back what was written, as one JSON value or one per line", (written) => {
    // JSON has no -0.
    const recordings = JSON.parse(
      JSON.stringify(
        written.map(({ engine, swapped, perturbed: { levels: perturb }, ...r }) => ({
          ...r,
          ...engine,
          ...swapped,
          perturb,
        })),
      ),
    );
    const expected = { recordings, torn: "" };
    expect(parseRecordings(JSON.stringify(written, null, 1), "file")).toEqual(expected);
    const lines = written.map((r) => `${JSON.stringify(r)}\n`).join("");
    expect(parseRecordings(lines, "file")).toEqual(expected);
    expect(parseRecordings(lines.slice(0, -1), "file")).toEqual(expected);
    expect(parseRecordings(`${lines}{"suite": "mi`, "file")).toEqual({ recordings, torn: '{"suite": "mi' });
  });

  test("reads scripted expert episodes by their own names", () => {
    const { suite, seed, actions } = push;
    const expert = { suite, seed, actions, index: 0, name_: "push", init_index: 3, settle_steps: 5 };
    expect(parseRecordings(JSON.stringify(expert), "file").recordings).toEqual([
      { ...push, told: "push", protocol: null, contacts: null, mujoco: null, perturb: "none" },
    ]);
  });

  test.each([
    ["{", "expected recordings, found an unfinished one"],
    ["{\n", "line 1: expected JSON, in it or the whole file, found {"],
    [`${JSON.stringify(push)}\n{"suite": "mi\n`, "line 2: expected JSON"],
    [`${JSON.stringify(push)}\n{"suite": "mi\n${JSON.stringify(push)}\n`, "line 2: expected JSON"],
    ["[]", "expected recordings, found none"],
    ["", "expected recordings, found none"],
    ["7", "expected a recording object, found 7"],
    [JSON.stringify({ ...push, suite: undefined }), "expected suite, a name, found nothing"],
    [JSON.stringify({ ...push, init: -1 }), "expected init, a whole number, found -1"],
    [JSON.stringify({ ...push, seed: 0.5 }), "expected seed, a whole number, found 0.5"],
    [JSON.stringify({ ...push, actions: undefined }), "expected actions, a list, found nothing"],
    [JSON.stringify({ ...push, actions: { length: 7 } }), "expected actions, a list, found an object"],
    [JSON.stringify({ ...push, protocol: 7 }), "expected protocol, a name, found 7"],
    [JSON.stringify({ ...push, engine: { contacts: [] } }), "expected contacts, a name, found a list of 0"],
    // Values of a file go into no message as they are: neither their depth nor their length.
    [`{"suite": ${"[".repeat(1e5)}${"]".repeat(1e5)}}`, "expected suite, a name, found a list of 1"],
    [JSON.stringify({ ...push, init: "\x1b[2J".repeat(1e5) }), 'whole number, found "\\u001b[2J'],
    [JSON.stringify({ ...push, actions: [[0, 0, 0, 0, 0, 0]] }), "expected action 0 to be 7 finite numbers"],
    [
      JSON.stringify({ ...push, actions: [push.actions[0], [0, 0, 0, Number.NaN, 0, 0, 0]] }),
      "expected action 1",
    ],
    [JSON.stringify([push, { ...push, task: 4 }]), "recording 1: expected task, a name, found 4"],
  ])("refuses %s", (text, message) => {
    expect(() => parseRecordings(text, "actions.json")).toThrow(/^replay actions\.json/);
    expect(() => parseRecordings(text, "actions.json")).toThrow(message);
    expect(() => parseRecordings(text, "actions.json")).not.toThrow(/^.{1000}/s);
  });
});

describe("replayPolicy", () => {
  test.each([
    ["one by one", OPENVLA, 1],
    ["in tens", NINA, 10],
    ["at once", LEROBOT, 23],
  ])("plays each action once, %s, then holds still", async (_, protocol, longest) => {
    const actions = Array.from({ length: 23 }, (_, i) => [i, 0, 0, 0, 0, 0, 1]);
    const source = replayPolicy(
      save([
        { ...push, init: 2 },
        { ...push, actions },
      ]),
    );
    const policy = source.forEpisode({ ...episode, protocol });
    for (let seed = 0; seed < 2; seed++) {
      policy.reset(seed);
      const played: ArrayLike<number>[] = [];
      while (played.length < actions.length) {
        const chunk = (await policy.act(unseen, "push")).actions;
        expect(chunk.length).toBeLessThanOrEqual(longest);
        played.push(...chunk);
      }
      expect(played).toEqual(actions);
      const after = (await policy.act(unseen, "push")).actions;
      expect(after.length).toBeGreaterThan(0);
      expect(after.every((action) => Array.from(action).every((v) => v === 0))).toBe(true);
    }
    expect(source.untrained).toBe(false);
  });

  test.each<[Partial<EpisodeKey>, string]>([
    [
      { task: "pull", told: "pull" },
      "a recording of mini/pull initial state 3, found mini/push initial state 3",
    ],
    [{ suite: "libero_10" }, "a recording of libero_10/push initial state 3"],
    [{ init: 4 }, "a recording of mini/push initial state 4"],
    [{ seed: 7 }, "a recording of mini/push initial state 3 with seed 7, found seed 0"],
    [{ protocol: OPENVLA }, "with protocol openvla, found protocol nina"],
    [{ contacts: "native" }, "with contacts native, found contacts mujoco-2.3"],
    [{ mujoco: "3.15.0" }, "with mujoco 3.15.0, found mujoco 3.14.0"],
    [{ told: "pull" }, "with words of pull, found words of push"],
    [{ seed: 7, contacts: "native" }, "with seed 7, contacts native, found seed 0, contacts mujoco-2.3"],
  ])("refuses an episode it was not recorded in: %o", (change, message) => {
    const engine = { contacts: "mujoco-2.3", mujoco: "3.14.0" };
    const source = replayPolicy(save({ ...push, protocol: "nina", engine }));
    expect(() => source.forEpisode({ ...episode, ...change })).toThrow(message);
    expect(source.forEpisode(episode)).toBeDefined();
  });

  test("one of swapped words is no plain one of either task, and the other way round", () => {
    const swapped = replayPolicy(save({ ...push, swapped: { told: "pull" } }));
    expect(swapped.forEpisode({ ...episode, told: "pull" })).toBeDefined();
    expect(() => swapped.forEpisode(episode)).toThrow("with words of push, found words of pull");
    expect(() => swapped.forEpisode({ ...episode, task: "pull", told: "pull" })).toThrow(
      "a recording of mini/pull initial state 3, found mini/push",
    );
    const plain = replayPolicy(save(push));
    expect(() => plain.forEpisode({ ...episode, told: "pull" })).toThrow(
      "with words of pull, found words of push",
    );
  });

  test("one that was made harder is no plain one, and the other way round", () => {
    const harder = replayPolicy(save({ ...push, perturbed: { levels: "robot:2" } }));
    expect(harder.forEpisode({ ...episode, perturb: "robot:2" })).toBeDefined();
    expect(() => harder.forEpisode(episode)).toThrow("with perturbations none, found perturbations robot:2");
    const plain = replayPolicy(save(push));
    expect(plain.forEpisode({ ...episode, perturb: "none" })).toBeDefined();
    expect(() => plain.forEpisode({ ...episode, perturb: "robot:1" })).toThrow(
      "with perturbations robot:1, found perturbations none",
    );
  });

  test("what a recording does not say is equal to anything", () => {
    const source = replayPolicy(save(push));
    expect(
      source.forEpisode({ ...episode, protocol: LEROBOT, contacts: "native", mujoco: "9" }),
    ).toBeDefined();
  });

  const variants = fc.record({
    seed: fc.nat(1),
    init: fc.nat(1),
    protocol: fc.constantFrom("nina", "openvla"),
    contacts: fc.constantFrom("mujoco-2.3" as const, "native" as const),
  });
  const held = fc.uniqueArray(variants, { selector: (variant) => JSON.stringify(variant), minLength: 1 });

  test.prop([held, fc.boolean()])(
    "finds each of many recordings by all that it depends on",
    async (all, broken) => {
      const actionsOf = (i: number) => [[i, 0, 0, 0, 0, 0, 0]];
      const recorded = all.map(({ contacts, ...rest }, i) => ({
        ...push,
        ...rest,
        engine: { contacts, mujoco: "3.14.0" },
        actions: actionsOf(i),
      }));
      // An episode may stand there twice, and with an attempt that ended before its first action.
      const again = broken ? recorded.flatMap((one) => [{ ...one, outcome: "error", actions: [] }, one]) : [];
      const source = replayPolicy(save([...again, ...recorded]));
      for (const [i, { protocol, ...rest }] of all.entries()) {
        const key = { ...episode, ...rest, protocol: protocol === "nina" ? NINA : OPENVLA };
        expect((await source.forEpisode(key).act(unseen, "push")).actions).toEqual(actionsOf(i));
      }
    },
  );

  test("refuses two recordings of an episode that differ, and one that has no action, when they are asked for", () => {
    const other = { ...push, actions: [[1, 0, 0, 0, 0, 0, 0]] };
    const source = replayPolicy(save([push, other, { ...push, init: 4 }, { ...push, init: 5, actions: [] }]));
    expect(source.forEpisode({ ...episode, init: 4 })).toBeDefined();
    expect(() => source.forEpisode(episode)).toThrow(
      "expected one recording of mini/push initial state 3, found 2 that differ",
    );
    expect(() => source.forEpisode({ ...episode, init: 5 })).toThrow(
      "expected actions of mini/push initial state 5, found an episode that ended before its first action",
    );
  });

  test("names a few of many recordings", () => {
    const source = replayPolicy(save(Array.from({ length: 50 }, (_, init) => ({ ...push, init }))));
    expect(() => source.forEpisode({ ...episode, init: 99 })).toThrow(
      /found mini\/push initial state 0, [^,]* 1, [^,]* 2, and 47 more$/,
    );
  });

  test("leaves out a torn last line and says so", () => {
    const told = vi.spyOn(console, "error").mockReturnValue();
    const path = save(`${JSON.stringify(push)}\n{"suite": "mi`);
    expect(replayPolicy(path).forEpisode(episode)).toBeDefined();
    expect(told.mock.calls).toEqual([[`replay ${path}: left out an unfinished last line: {"suite": "mi`]]);
  });

  test.each(["absent.json", "."])("names what is no file to read: %s", (name) => {
    expect(() => replayPolicy(join(folder, name))).toThrow(join(folder, name));
  });
});
