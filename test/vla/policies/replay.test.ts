import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { LEROBOT, NINA, OPENVLA } from "../../../vla/libero/protocols.ts";
import type { Observation } from "../../../vla/observation.ts";
import { parseRecordings, replayPolicy } from "../../../vla/policies/replay.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-replay-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A recording looks at nothing. */
const unseen = {} as Observation;

function save(value: unknown): string {
  const path = join(folder, "actions.json");
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
  return path;
}

const push = { suite: "mini", task: "push", init: 3, seed: 0, actions: [[0, 0, 0, 0, 0, 0, -1]] };
const episode = { suite: "mini", task: "push", init: 3, seed: 0, protocol: NINA };

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const recordings = fc.array(
  fc.record({
    suite: fc.string(),
    task: fc.string(),
    init: fc.nat(),
    seed: fc.nat(),
    protocol: fc.constantFrom("nina", "openvla"),
    actions: fc.array(fc.array(finite, { minLength: 7, maxLength: 7 }), { minLength: 1, maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 4 },
);

describe("parseRecordings", () => {
  test.prop([recordings])("reads back what was written, as one JSON value or one per line", (written) => {
    // JSON has no -0.
    const expected = JSON.parse(JSON.stringify(written));
    expect(parseRecordings(JSON.stringify(written, null, 1), "file")).toEqual(expected);
    expect(parseRecordings(written.map((r) => `${JSON.stringify(r)}\n`).join(""), "file")).toEqual(expected);
  });

  test("reads scripted expert episodes by their own names", () => {
    const { suite, seed, actions } = push;
    const expert = { suite, seed, actions, index: 0, name_: "push", init_index: 3, settle_steps: 5 };
    expect(parseRecordings(JSON.stringify(expert), "file")).toEqual([{ ...push, protocol: null }]);
  });

  test.each([
    ["{", "line 1 is neither"],
    [`${JSON.stringify(push)}\n{"suite": "mi`, "line 2 is neither"],
    ["[]", "expected recordings, found none"],
    ["", "expected recordings, found none"],
    ["7", "expected a recording object, got 7"],
    [JSON.stringify({ ...push, suite: undefined }), "expected suite, a name, got nothing"],
    [JSON.stringify({ ...push, init: -1 }), "expected init, a whole number, got -1"],
    [JSON.stringify({ ...push, seed: 0.5 }), "expected seed, a whole number, got 0.5"],
    [JSON.stringify({ ...push, actions: [] }), "expected actions, a list, got []"],
    [JSON.stringify({ ...push, actions: [[0, 0, 0, 0, 0, 0]] }), "expected action 0 to be 7 finite numbers"],
    [
      JSON.stringify({ ...push, actions: [push.actions[0], [0, 0, 0, Number.NaN, 0, 0, 0]] }),
      "expected action 1",
    ],
    [JSON.stringify([push, { ...push, task: 4 }]), "recording 1: expected task, a name, got 4"],
  ])("refuses %s", (text, message) => {
    expect(() => parseRecordings(text, "actions.json")).toThrow(/^replay actions\.json/);
    expect(() => parseRecordings(text, "actions.json")).toThrow(message);
  });
});

describe("replayPolicy", () => {
  test.each([
    ["one by one", OPENVLA, 1],
    ["in tens", NINA, 10],
    ["at once", LEROBOT, 23],
  ])("plays each action once, %s, then holds still", async (_, protocol, longest) => {
    const actions = Array.from({ length: 23 }, (_, i) => [i, 0, 0, 0, 0, 0, 1]);
    const source = await replayPolicy(
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

  test.each([
    [{ task: "pull" }, "no recording of mini/pull initial state 3; the file holds mini/push initial state 3"],
    [{ suite: "libero_10" }, "no recording of libero_10/push"],
    [{ init: 4 }, "no recording of mini/push initial state 4"],
    [{ seed: 7 }, "recorded with seed 0, the run has seed 7"],
    [{ protocol: OPENVLA }, "recorded under protocol nina, the run has openvla"],
  ])("refuses an episode it was not recorded in: %o", async (change, message) => {
    const source = await replayPolicy(save({ ...push, protocol: "nina" }));
    expect(() => source.forEpisode({ ...episode, ...change })).toThrow(message);
  });

  test("names a file that is not there", async () => {
    await expect(replayPolicy(join(folder, "absent.json"))).rejects.toThrow("absent.json");
  });
});
