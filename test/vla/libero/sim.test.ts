import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterEach, beforeEach, describe, expect, vi } from "vitest";
import { Cache } from "../../../core/index.ts";
import { loadMuJoCo, type MjData, type MjModel } from "../../../vla/libero/mujoco.ts";
import { Sim, type SimOptions } from "../../../vla/libero/sim.ts";
import { readWhole } from "../../../vla/platform/node.ts";
import { TINY_MJCF } from "./tiny-scene.ts";

vi.mock(import("../../../vla/platform/node.ts"), async (original) => {
  const platform = await original();
  return { ...platform, readWhole: vi.fn(platform.readWhole) };
});

const open = (mjcf: string, options: SimOptions = {}) =>
  Sim.open({ mjcf, assets: new Map() }, { cacheFolder: null, ...options });

/** A free box of mass 1 whose lower face lies `depth` metres inside something. */
const boxIn = (other: string, depth: number) => `<mujoco>
  <option timestep="0.002" cone="elliptic" impratio="20" density="1.2" viscosity="0.00002"/>
  <default><geom solref="0.001 1" solimp=".998 .998 .001"/></default>
  <worldbody>${other}
    <body name="box" pos="0 0 ${0.05 - depth}"><freejoint/><geom type="box" size=".05 .05 .05" mass="1"/></body>
  </worldbody></mujoco>`;
const BOX = '<geom type="box" size=".2 .2 .2" pos="0 0 -.2"/>';
const PLANE = '<geom type="plane" size="1 1 1"/>';

/** Its acceleration upwards, m/s². */
async function push(mjcf: string, contacts: SimOptions["contacts"]): Promise<number> {
  using sim = await open(mjcf, { contacts });
  sim.forward();
  return sim.data.qacc[2];
}

describe("contacts of MuJoCo 2.3", () => {
  test("boxes push boxes half as hard as in the current engine", async () => {
    const weightless = boxIn(BOX, 0.005).replace("<option ", '<option gravity="0 0 0" ');
    const native = await push(weightless, "native");
    expect(await push(weightless, "mujoco-2.3")).toBeCloseTo(native / 2, 9);
    // Recorded from an engine of that time.
    expect(await push(boxIn(BOX, 0.005), "mujoco-2.3")).toBeCloseTo(156.479814722083, 9);
  });

  test("planes push boxes as before", async () => {
    expect(await push(boxIn(PLANE, 0.005), "mujoco-2.3")).toBeCloseTo(
      await push(boxIn(PLANE, 0.005), "native"),
      8,
    );
  });

  test("contacts given as stiffness and damping are left alone", async () => {
    const direct = boxIn(BOX, 0.005).replace('solref="0.001 1"', 'solref="-1000 -100"');
    expect(await push(direct, "mujoco-2.3")).toBe(await push(direct, "native"));
  });
});

describe("Sim", () => {
  test("says what MuJoCo says about an MJCF that does not compile", async () => {
    await expect(open("<mujoco><worldbody><geom/></worldbody></mujoco>")).rejects.toThrow(/size/);
  });

  test("names what it does not find", async () => {
    using sim = await open(TINY_MJCF);
    expect(() => sim.id("body", "cupboard")).toThrow(
      'Sim: expected a body named "cupboard" in the model, found none',
    );
  });

  test("reads the pairs in contact as MuJoCo lists them", async () => {
    using sim = await open(TINY_MJCF);
    // Both blocks fall on the table, one after the other.
    sim.views.qpos.set([0.4, 0, 0.08, 1, 0, 0, 0], sim.qposAddress("red_block_joint0"));
    sim.views.qpos.set([0.4, 0.3, 0.05, 1, 0, 0, 0], sim.qposAddress("blue_block_joint0"));
    const seen = new Set<string>();
    for (let step = 0; step < 100; step++) {
      sim.step1();
      sim.step2();
      const listed = listedPairs(sim.data);
      for (let a = 0; a < sim.ngeom; a++)
        for (let b = a; b < sim.ngeom; b++) {
          const group = new Int16Array(sim.ngeom).fill(-1);
          group[a] = 0;
          group[b] = 1;
          const expected = a !== b && listed.has(`${a} ${b}`);
          if (a !== b) expect(sim.touching(group, 1, 0)).toBe(expected);
        }
      for (const pair of listed) seen.add(pair);
    }
    const id = (name: string) => sim.id("geom", name);
    expect(seen).toContain(`${id("table")} ${id("red_block_g1")}`);
    expect(seen).toContain(`${id("table")} ${id("blue_block_g1")}`);
  });

  test("steps in two halves as MuJoCo does in one", async () => {
    using halves = await open(TINY_MJCF);
    using whole = await open(TINY_MJCF);
    for (const sim of [halves, whole]) sim.views.ctrl.fill(0.5);
    for (let step = 0; step < 200; step++) {
      halves.step1();
      halves.step2();
      whole.mj.mj_step(whole.model, whole.data);
    }
    expect([...halves.views.qpos]).toEqual([...whole.views.qpos]);
  });

  test("keeps working when other models make the heap grow", async () => {
    using sim = await open(TINY_MJCF);
    const before = sim.views;
    const mj = await loadMuJoCo();
    const others: (MjModel | MjData)[] = [];
    while (before.qpos.length > 0) {
      const model = mj.MjModel.from_xml_string('<mujoco><size memory="64M"/></mujoco>');
      others.push(new mj.MjData(model), model);
    }
    expect(sim.views.qpos.length).toBe(sim.nq);
    sim.views.ctrl[0] = 3;
    sim.step1();
    sim.step2();
    expect(sim.data.ctrl[0]).toBe(3);
    expect(sim.views.qpos).toEqual(sim.data.qpos);
    for (const other of others) other.delete();
  });
});

/** A box that falls on a plane; a sensor feels it. */
const FELT = boxIn(PLANE, -0.01)
  .replace("<freejoint/>", '<freejoint/><site name="s" size=".1"/>')
  .replace("</worldbody>", '</worldbody><sensor><touch site="s"/></sensor>');

describe("sensors", () => {
  const motion = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 6, maxLength: 6 });

  test.prop([motion], { numRuns: 10 })("are left out, which changes no bit of what moves", async (speeds) => {
    using sim = await open(FELT, { contacts: "native" });
    const { mj } = sim;
    const model: MjModel = mj.MjModel.from_xml_string(FELT);
    const data = new mj.MjData(model);
    const felt: number[] = [];
    for (const each of [sim.data, data]) each.qvel.set(speeds.with(2, -1));
    for (let step = 0; step < 100; step++) {
      sim.step1();
      sim.step2();
      mj.mj_step(model, data);
      felt.push(data.sensordata[0]);
      expect([...sim.views.qpos]).toEqual([...data.qpos]);
      expect(sim.data.sensordata[0]).toBe(0);
    }
    expect(Math.max(...felt)).toBeGreaterThan(0);
    data.delete();
    model.delete();
  });
});

/** Pairs "a b" with a < b, from MuJoCo's own copies. */
function listedPairs(data: MjData): Set<string> {
  const pairs = new Set<string>();
  const contacts = data.contact;
  for (let i = 0; i < contacts.size(); i++) {
    const contact = contacts.get(i)!;
    pairs.add([contact.geom1, contact.geom2].sort((a, b) => a - b).join(" "));
    contact.delete();
  }
  contacts.delete();
  return pairs;
}

describe("the cache of compiled models", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "nina-ts-cache-"));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  /** A tetrahedron of the given height. */
  function writeMesh(height: number): void {
    const points = `v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 ${height}\n`;
    writeFileSync(join(folder, "tetrahedron.obj"), `${points}f 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n`);
  }

  /** A model with one asset, the tetrahedron, written before or as it lies there. */
  async function openMesh(height: number, written = true): Promise<Sim> {
    const path = join(folder, "tetrahedron.obj");
    if (written) writeMesh(height);
    const mjcf = `<mujoco><asset><mesh name="m" file="shapes/tetrahedron.obj"/></asset>
      <worldbody><body><freejoint/><geom type="mesh" mesh="m"/></body></worldbody></mujoco>`;
    return Sim.open(
      { mjcf, assets: new Map([["shapes/tetrahedron.obj", path]]) },
      { cacheFolder: join(folder, "cache") },
    );
  }
  const cached = () => readdirSync(join(folder, "cache"));

  test("holds one file per model and gives back the same model", async () => {
    using compiled = await openMesh(1);
    expect(cached()).toHaveLength(1);
    const written = statSync(join(folder, "cache", cached()[0])).ino;
    using read = await openMesh(1);
    expect(cached()).toHaveLength(1);
    expect(statSync(join(folder, "cache", cached()[0])).ino).toBe(written);
    expect(read.model.body_mass).toEqual(compiled.model.body_mass);
    expect(read.model.mesh_vert).toEqual(compiled.model.mesh_vert);
    // The rescale applies once, whether the model was compiled or read.
    expect(read.model.geom_solref).toEqual(compiled.model.geom_solref);
  });

  test("tells models apart by the bytes of their assets", async () => {
    using low = await openMesh(1);
    using high = await openMesh(2);
    expect(cached()).toHaveLength(2);
    expect(high.model.body_mass[1]).toBeCloseTo(2 * low.model.body_mass[1], 9);
  });

  test.each([
    ["cut short", (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)],
    [
      "with a flipped bit",
      (bytes: Buffer) => {
        bytes[bytes.length - 9] ^= 1;
        return bytes;
      },
    ],
    ["empty", () => Buffer.alloc(0)],
  ])("rebuilds a file %s and says so", async (_, damage) => {
    (await openMesh(1))[Symbol.dispose]();
    const path = join(folder, "cache", cached()[0]);
    const good = readFileSync(path);
    writeFileSync(path, damage(Buffer.from(good)));
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    using again = await openMesh(1);
    expect(said).toHaveBeenCalledWith(expect.stringContaining(`${path} is damaged`));
    expect(again.nq).toBe(7);
    expect(readFileSync(path).equals(good)).toBe(true);
    expect(cached()).toHaveLength(1);
  });

  describe("when files have lain for a while", () => {
    beforeEach(() => {
      const now = Date.now();
      vi.spyOn(Date, "now").mockReturnValue(now + 10_000);
      vi.mocked(readWhole).mockClear();
    });

    test("reads no asset that has not changed", async () => {
      using first = await openMesh(1);
      using second = await openMesh(1, false);
      expect(readWhole).toHaveBeenCalledTimes(1);
      expect(second.model.mesh_vert).toEqual(first.model.mesh_vert);
    });

    test("notices one that has, though its size and the time it shows are the same", async () => {
      using low = await openMesh(1);
      const { atime, mtime } = statSync(join(folder, "tetrahedron.obj"));
      // Times of files may move in steps of some milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 20));
      writeMesh(2);
      utimesSync(join(folder, "tetrahedron.obj"), atime, mtime);
      using high = await openMesh(2, false);
      expect(high.model.body_mass[1]).toBeCloseTo(2 * low.model.body_mass[1], 9);
    });

    test("reads again what is no longer there", async () => {
      (await openMesh(1))[Symbol.dispose]();
      const model = new Cache(join(folder, "cache")).entries().find(({ bytes }) => bytes > 1000)!;
      rmSync(model.path);
      using again = await openMesh(1, false);
      expect(again.nq).toBe(7);
      expect(readWhole).toHaveBeenCalledTimes(2);
    });
  });

  test("trusts no file that has only just changed", async () => {
    vi.mocked(readWhole).mockClear();
    using _ = await openMesh(1);
    using again = await openMesh(1, false);
    expect(again.nq).toBe(7);
    expect(readWhole).toHaveBeenCalledTimes(2);
  });

  test("compiles again what MuJoCo does not take", async () => {
    const cache = new Cache(join(folder, "cache"));
    const read = vi.spyOn(Cache.prototype, "read").mockReturnValueOnce(Buffer.from("no model"));
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    using first = await openMesh(1);
    expect(said).toHaveBeenCalledWith(expect.stringContaining("a cached model does not load"));
    read.mockRestore();
    using second = await openMesh(1);
    expect(second.model.body_mass).toEqual(first.model.body_mass);
    expect(cache.entries()).toHaveLength(1);
  });
});
