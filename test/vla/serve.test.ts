/** The command as its users run it; what clients may do to it is tested in serve/server.test.ts. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import ndarray from "ndarray";
import { expect, test } from "vitest";
import { EMBEDDED } from "../../vla/eval/options.ts";
import type { Observation } from "../../vla/observation.ts";
import { type EpisodeKey, endPolicies, loadPolicy, type PolicySource } from "../../vla/policies/index.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const picture = (factor: number) =>
  ndarray(
    Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * factor) % 251),
    [64, 64, 3],
  );
const seen: Observation = {
  agentview_image: picture(3),
  robot0_eye_in_hand_image: picture(7),
  robot0_joint_pos: new Float64Array(7),
  robot0_eef_pos: new Float64Array(3),
  robot0_eef_quat: Float64Array.of(0, 0, 0, 1),
  robot0_gripper_qpos: new Float64Array(2),
};

test("a checkpoint plans for clients what it plans here, whatever others ask meanwhile", async () => {
  const child = spawn(process.execPath, ["--import", "tsx", "vla/serve.ts", "--port", "0"], { cwd: ROOT });
  const exited = once(child, "exit");
  let stderr = "";
  child.stderr.on("data", (part) => (stderr += part));
  const [line] = await once(createInterface(child.stdout), "line");
  const [, url] = String(line).match(/^nina checkpoint at (ws:.*)$/) ?? expect.fail(`${line}${stderr}`);

  const files = { checkpoint: EMBEDDED.checkpoint, sampling: {} };
  const [remote, local] = await Promise.all([loadPolicy(url, files), loadPolicy("nina", files)]);
  expect(remote).toMatchObject({
    name: `${url} nina checkpoint`,
    digest: local.digest,
    untrained: false,
    cameraSize: 64,
  });
  const play = async (source: PolicySource, instruction: string, seed: number) => {
    const key = { instruction, protocol: { name: "nina", actionsPerQuery: 10 } } as EpisodeKey;
    const policy = source.forEpisode(key);
    policy.reset(seed);
    const plans = [];
    for (let i = 0; i < 2; i++) plans.push((await policy.act(seen, instruction)).actions);
    policy[Symbol.dispose]?.();
    return plans;
  };
  const asked = [
    ["push the drawer shut", 5],
    ["pull the drawer open", 6],
  ] as const;
  const playAll = (source: PolicySource) =>
    Promise.all(asked.map(([words, seed]) => play(source, words, seed)));
  const expected = await playAll(local);
  expect(await playAll(remote)).toEqual(expected);
  expect(await play(remote, ...asked[0])).toEqual(expected[0]); // on a connection that has been used

  await endPolicies(local);
  await endPolicies(remote);
  child.kill("SIGINT");
  expect(await exited).toEqual([130, null]);
  expect(stderr).toBe("");
});
