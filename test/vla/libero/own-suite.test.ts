/**
 * A suite of one's own, in a folder laid out like a clone of LIBERO: new objects, a new workspace, and no line of
 * TypeScript.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EMBEDDED } from "../../../vla/eval/options.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { createRenderer } from "../../../vla/libero/render/renderer.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const libero = mkdtempSync(join(tmpdir(), "own-suite-"));
afterAll(() => rmSync(libero, { recursive: true }));
const roots = { libero, robosuite: EMBEDDED.robosuite };

const library = join(libero, "libero", "libero");
const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(library, path)), { recursive: true });
  writeFileSync(join(library, path), text);
};

/** The examples of the page, by the path that stands above each. */
const page = readFileSync(join(ROOT, "docs", "suites.md"), "utf8");
const examples = [...page.matchAll(/`(\S+)`:\n\n```(?:json|xml|lisp)\n(.*?)```/gs)].map(([, path, text]) => ({
  path,
  text,
}));

describe("docs/suites.md", () => {
  beforeAll(() => {
    const assets = join(EMBEDDED.libero, "libero", "libero", "assets");
    for (const folder of ["scenes", "textures"])
      cpSync(join(assets, folder), join(library, "assets", folder), { recursive: true });
    for (const { path, text } of examples) write(path, text);
  });

  test("shows a task, a workspace, a lid and what opens it", () => {
    expect(examples.map(({ path }) => path)).toEqual([
      "bddl_files/kitchenette/open_the_chest.bddl",
      "assets/my_objects/chest/chest.xml",
      "assets/my_objects/chest/chest.json",
      "assets/scenes/workbench_manipulation.json",
    ]);
  });

  test("its suite gets starts by a command, and plays", async () => {
    const clones = ["--libero", libero, "--robosuite", roots.robosuite];
    const make = [
      "--import",
      "tsx",
      "vla/make-starts.ts",
      "--suite",
      "kitchenette",
      "--rows",
      "3",
      ...clones,
    ];
    const made = spawnSync(process.execPath, make, { cwd: ROOT, encoding: "utf8" });
    expect(made.stderr).toBe("");
    const path = join(library, "init_files", "kitchenette", "open_the_chest.pruned_init");
    expect(made.stdout).toBe(`${path}\n`);

    const { tasks } = loadSuite(libero, "kitchenette");
    expect(tasks.map(({ instruction }) => instruction)).toEqual(["open the chest"]);
    const scene = composeScene({ ...roots, task: tasks[0] });
    const states = readInitStates(tasks[0].initPath, scene.layout);
    expect(states).toHaveLength(3);

    using env = await LiberoEnv.open(scene, { cacheFolder: null, renderer: createRenderer, imageSize: 16 });
    const lid = 1 + env.sim.qposAddress("chest_1_lid");
    const begin = (angle?: number): boolean => {
      const state = states[0].slice();
      if (angle !== undefined) state[lid] = angle;
      return env.start({ seed: 0, state }).success;
    };
    // Shut as `:init` has it; open from where the data says.
    expect(states[0][lid]).toBeGreaterThanOrEqual(-0.01);
    expect(states[0][lid]).toBeLessThanOrEqual(0.01);
    expect([begin(), begin(-0.9), begin(-1.1)]).toEqual([false, false, true]);

    begin();
    for (let i = 0; i < 5; i++) env.step([0, 0, -0.3, 0, 0, 0, -1]);
    expect(env.observe().agentview_image.shape).toEqual([16, 16, 3]);
    // The bench is lower than a table: the robot stands on the floor beside it.
    const base = env.sim.id("body", "robot0_base");
    expect(Array.from(env.sim.views.bodyPos.slice(3 * base, 3 * base + 3))).toEqual([-0.6, 0, 0]);
  });

  const change = (path: string, edit: (text: string) => string): (() => void) => {
    const { text } = examples.find((example) => example.path === path)!;
    write(path, edit(text));
    return () => write(path, text);
  };
  const compose = () => composeScene({ ...roots, task: loadSuite(libero, "kitchenette").tasks[0] });

  test.each([
    [
      "chest",
      (text: string) => text.replace("open", "ajar"),
      /chest\.json.*: expected only open, close, turnon, turnoff, found ajar/,
    ],
    [
      "chest",
      (text: string) => text.replace("articulation", "joints"),
      /chest\.json: expected only rotation, articulation, stateSites, found joints/,
    ],
    [
      "chest",
      (text: string) => text.replace("-1.5, -1", "-1, -1.5"),
      /chest\.json: articulation: open: expected the lower number first, found \[-1, -1\.5\]/,
    ],
    ["chest", () => "{", /chest\.json: expected JSON, found \{/],
    [
      "bench",
      (text: string) => text.replace('"pedestal": false,', ""),
      /workbench_manipulation\.json: expected pedestal, found none/,
    ],
    ["bench", (text: string) => text.replace("false", "0"), /pedestal: expected true or false, found 0/],
    [
      "bench",
      (text: string) => text.replace("libero_tabletop_base_style.xml", "../x.xml"),
      /arena: expected a name/,
    ],
  ] as const)("a mistake in the data of the %s is told, case %#", (what, edit, message) => {
    const paths = {
      chest: "assets/my_objects/chest/chest.json",
      bench: "assets/scenes/workbench_manipulation.json",
    };
    const restore = change(paths[what], edit);
    try {
      expect(compose).toThrow(message);
    } finally {
      restore();
    }
  });
});
