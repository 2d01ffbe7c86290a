import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { endPolicies, loadPolicy, type PolicyFiles } from "../../../vla/policies/index.ts";
import type { EpisodeKey } from "../../../vla/policies/source.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "nina-module-"));
afterAll(() => rmSync(folder, { recursive: true }));

const files: PolicyFiles = { file: "FILE", checkpoint: "checkpoint", sampling: { temperature: 0.5 } };
const key = {} as EpisodeKey;

let modules = 0;
async function load(source: string) {
  const path = join(folder, `policy-${modules++}.mjs`);
  writeFileSync(path, source);
  return loadPolicy(path, files);
}

test("a module is given the arguments of a policy, and is told when the run is over", async () => {
  const source = await load(`
    class Source {
      #told = [];
      constructor(files) { this.files = files; }
      get name() { return JSON.stringify(this.files); }
      untrained = true;
      cameraSize = 64;
      hasDensity = false;
      forEpisode() { return { name: "own", reset() {}, act: () => ({ actions: this.#told }) }; }
      async [Symbol.asyncDispose]() { await null; this.#told.push("over"); }
    }
    export default async (files) => new Source(files);
  `);
  expect(source).toMatchObject({
    name: JSON.stringify(files),
    untrained: true,
    cameraSize: 64,
    hasDensity: false,
  });
  const told = source.forEpisode(key).act({} as never, "go");
  await endPolicies(source);
  expect(told).toEqual({ actions: ["over"] });
});

const SOURCE = "{ name: 'x', untrained: false, cameraSize: null, hasDensity: false, forEpisode: () => ({}) }";

test.each<[what: string, source: string, error: RegExp]>([
  ["syntax", "export default (", /policy-\d+\.mjs: /],
  ["a module that throws", "throw new Error('no\\nweights')", /mjs: no weights$/],
  ["no default", "export const policy = 1", /mjs: default export: expected a function .*, got undefined/],
  ["an object", `export default ${SOURCE}`, /mjs: default export: expected a function .*, got an object/],
  ["a function that throws", "export default () => { throw 5 }", /mjs: 5$/],
  ["a function of nothing", "export default () => {}", /mjs: expected a policy source, got undefined/],
  ["no name", "export default () => ({})", /mjs: expected a source whose name is text, got undefined/],
  [
    "no flag",
    `export default () => ({ ...${SOURCE}, untrained: 0 })`,
    /whose untrained is true or false, got 0/,
  ],
  [
    "a size of 0",
    `export default () => ({ ...${SOURCE}, cameraSize: 0 })`,
    /whose cameraSize is null or 1 to 4096 pixels, got 0/,
  ],
  [
    "no episodes",
    `export default () => ({ ...${SOURCE}, forEpisode: 1 })`,
    /expected forEpisode to be a function, got 1/,
  ],
])("%s in place of a policy is one clear error", async (_, source, error) => {
  await expect(load(source)).rejects.toThrow(/^--policy /);
  await expect(load(source)).rejects.toThrow(error);
});

test("what is no policy of an episode is refused before the episode", async () => {
  const source = await load(`export default () => (${SOURCE})`);
  expect(() => source.forEpisode(key)).toThrow(
    /mjs: expected forEpisode to give a policy with reset and act, got an object/,
  );
});

test("names that are neither a kind nor a module are told what there is", async () => {
  await expect(loadPolicy("constructor", files)).rejects.toThrow(
    '--policy: expected nina, zero, replay, ws://host:port, or a module such as ./mine.ts, got "constructor"',
  );
  await expect(loadPolicy("./absent.ts", files)).rejects.toThrow(
    "--policy ./absent.ts: expected a module, found no file",
  );
});

test("the example is evaluated by its own command, and shuts the drawer", () => {
  const example = readFileSync(join(ROOT, "examples", "my-policy.ts"), "utf8");
  const [, command] = example.match(/`npx tsx (.*?)`/) ?? expect.fail("the example names no command");
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--import", "tsx", ...command.split(" ")], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect([stderr, status]).toEqual(["", 0]);
  expect(stdout).toMatch(/^all tasks +2 +2 +0 /m); // two episodes, two successes, no error
});
