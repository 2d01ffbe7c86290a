/**
 * How long does a picture take?
 *
 *   npx tsx benchmarks/render.ts [--size 128,256] [--frames 20] [--json]
 *   npx tsx benchmarks/render.ts --libero CLONE --robosuite CLONE [--suite libero_spatial] [--task 0]
 *
 * Draws a small scene of its own or, given clones of LIBERO and robosuite, a LIBERO task from both cameras of a policy.
 * Milliseconds per picture, one thread, after three pictures to warm up. With --json one line per case:
 * {bench, case, who, threads, dtype, min_ms, median_ms}.
 */
import load, { type MainModule, type MjData, type MjModel } from "@mujoco/mujoco";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { composeScene } from "../vla/libero/compose/scene.ts";
import { createRenderer } from "../vla/libero/render/renderer.ts";
import { Sim } from "../vla/libero/sim.ts";
import { findTask, loadSuite } from "../vla/libero/suites.ts";
import { wholeNumbers } from "./measure.ts";

const SCHEMA = {
  usage: "npx tsx benchmarks/render.ts [options]",
  description:
    "Times pictures of a small scene or, given clones, of a LIBERO task from both cameras of a policy.",
  options: {
    size: { type: "string", default: "128,256", help: "sides of the pictures, pixels" },
    frames: { type: "integer", least: 1, default: 20, help: "pictures per case" },
    libero: { type: "string", help: "folder of a LIBERO clone; draws one of its tasks" },
    robosuite: { type: "string", help: "folder of a robosuite clone; needed with --libero" },
    suite: { type: "string", default: "libero_spatial", help: "suite of the LIBERO clone" },
    task: { type: "integer", least: 0, default: 0, help: "index of the task" },
    json: { type: "boolean", help: "one JSON object per line" },
  },
} as const satisfies CliSchema;

/** Boxes, balls and a reflecting floor: 60 shapes, about 40 000 triangles. */
const SHAPES = Array.from({ length: 60 }, (_, i) => {
  const [x, y] = [(i % 10) / 4 - 1.1, Math.floor(i / 10) / 4 - 0.6];
  const type = ["box", "sphere", "capsule", "cylinder"][i % 4];
  return `<geom type="${type}" pos="${x} ${y} .1" size=".07 .07 .07" rgba="${(i % 5) / 4} ${(i % 7) / 6} .5 1"/>`;
});
const OWN_SCENE = `<mujoco><statistic extent="3"/><default><geom group="1"/></default>
  <asset>
    <texture type="skybox" builtin="gradient" width="128" height="768" rgb1=".9 .9 1" rgb2=".2 .3 .4"/>
    <texture name="tiles" type="2d" builtin="checker" width="512" height="512" rgb1=".7 .6 .5" rgb2=".5 .4 .3"/>
    <material name="floor" texture="tiles" texrepeat="4 4" reflectance=".2"/>
  </asset>
  <worldbody>
    <light pos="1 1 4" dir="0 0 -1"/>
    <geom type="plane" size="2 2 .1" material="floor"/>
    ${SHAPES.join("\n")}
    <camera name="front" pos="0 -2 1.5" xyaxes="1 0 0 0 .6 .8"/>
    <camera name="close" pos=".1 0 .6"/>
  </worldbody></mujoco>`;

interface Bench {
  readonly name: string;
  readonly mj: MainModule;
  readonly model: MjModel;
  readonly data: MjData;
  readonly cameras: readonly string[];
}

await runMain(async () => {
  const options = parseCli(SCHEMA, process.argv.slice(2));
  const { libero, robosuite, suite, frames, json } = options;
  const sizes = wholeNumbers("size", options.size);
  if ((libero === undefined) !== (robosuite === undefined))
    throw new UsageError("expected --libero and --robosuite together, got only one");
  const bench =
    libero !== undefined && robosuite !== undefined
      ? await openTask({ libero, robosuite }, suite, options.task)
      : await openOwnScene();
  const { name, mj, model, data, cameras } = bench;
  if (!json) console.log(`${"case".padEnd(50)}${"min ms".padStart(9)}${"median ms".padStart(11)}`);
  for (const size of sizes) {
    const renderer = createRenderer(mj, model, data, { width: size, height: size });
    for (const camera of cameras) {
      for (let i = 0; i < 3; i++) renderer.render(camera);
      const times = Array.from({ length: frames }, () => {
        const start = performance.now();
        renderer.render(camera);
        return performance.now() - start;
      }).sort((a, b) => a - b);
      report(`${name} ${camera} ${size}x${size}`, times[0], times[times.length >> 1], json);
    }
  }
});

async function openOwnScene(): Promise<Bench> {
  const mj = await load();
  const model = mj.MjModel.from_xml_string(OWN_SCENE) as MjModel;
  const data = new mj.MjData(model);
  mj.mj_forward(model, data);
  return { name: "shapes", mj, model, data, cameras: ["front", "close"] };
}

/** The task with its arm at home and its objects where the composed scene puts them. */
async function openTask(
  clones: { readonly libero: string; readonly robosuite: string },
  suite: string,
  index: number,
): Promise<Bench> {
  const task = findTask(loadSuite(clones.libero, suite), index);
  const scene = composeScene({ ...clones, task });
  const { mj, model, data } = await Sim.open(scene);
  data.qpos.set([...scene.home.arm, ...scene.home.fingers]);
  const poses = scene.fixturePoses(0, 0);
  for (const { name, rootBody } of scene.objects) {
    const pose = poses.get(name);
    if (!pose) continue;
    const body = mj.mj_name2id(model, mj.mjtObj.mjOBJ_BODY.value, rootBody);
    model.body_pos.set(pose.pos, 3 * body);
    model.body_quat.set(pose.quat, 4 * body);
  }
  mj.mj_forward(model, data);
  return { name: `${suite}/${index}`, mj, model, data, cameras: ["agentview", "robot0_eye_in_hand"] };
}

function report(what: string, min: number, median: number, json: boolean): void {
  if (json) {
    const line = { bench: "render", case: what, who: "ours", threads: 1, dtype: "uint8" };
    console.log(JSON.stringify({ ...line, min_ms: round(min), median_ms: round(median) }));
  } else {
    console.log(`${what.padEnd(50)}${min.toFixed(1).padStart(9)}${median.toFixed(1).padStart(11)}`);
  }
}

function round(ms: number): number {
  return Math.round(1000 * ms) / 1000;
}
