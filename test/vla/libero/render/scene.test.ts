import { describe, expect, test } from "vitest";
import { frustumOf, View } from "../../../../vla/libero/render/camera.ts";
import { LIGHT, LIGHT_BYTES } from "../../../../vla/libero/render/layout.ts";
import { Lights } from "../../../../vla/libero/render/lights.ts";
import { RenderMemory } from "../../../../vla/libero/render/memory.ts";
import { readScene, updateDrawables } from "../../../../vla/libero/render/scene.ts";
import { compile } from "./inline-model.ts";

const ASSETS = `
  <texture name="t" type="2d" builtin="checker" width="8" height="8" rgb1="1 0 0" rgb2="0 1 0"/>
  <material name="tiles" texture="t" texrepeat="3 2" texuniform="true" specular=".3" shininess=".9" reflectance=".2"/>
  <material name="plain" rgba=".1 .2 .3 1" emission=".4"/>
  <mesh name="wedge" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/>`;
const WORLD = `
  <light pos="1 2 3" dir="0 -.3 -1" attenuation="1 .1 .2" ambient=".1 .2 .3"/>
  <light type="directional" dir="1 1 -1" diffuse=".5 .6 .7" specular=".1 .1 .2"/>
  <light active="false"/>
  <geom type="plane" size="0 0 1" pos=".1 .2 0" material="tiles"/>
  <geom type="plane" size="0 2 1" euler="0 0 30"/>
  <geom type="box" size=".1 .2 .3" pos="0 0 1" material="plain"/>
  <geom type="box" size=".1 .2 .3" pos="1 0 1" material="plain" rgba="1 0 0 .5"/>
  <geom type="capsule" size=".1 .3" group="2" euler="10 20 30"/>
  <geom type="sphere" size=".2" group="0"/>
  <geom type="cylinder" size=".2 .1" rgba="0 0 1 1"/>
  <geom type="ellipsoid" size=".2 .1 .3"/>
  <geom type="mesh" mesh="wedge" pos="2 1 0" euler="40 0 0"/>
  <site type="cylinder" size=".1 .01" pos="0 0 2" rgba="1 1 0 .3"/>
  <site type="box" size=".1 .1 .1" material="plain"/>
  <site type="sphere" size=".1" group="4"/>
  <camera name="near" pos="7 -3 4" xyaxes="1 2 0 0 0 1" fovy="60"/>
  <camera name="sensor" pos="1 1 3" resolution="40 30" sensorsize=".04 .03" focal=".05 .06" principal=".002 -.003"/>`;

/** MuJoCo's own list of what to draw is the oracle: `mjv_updateScene` with collision geoms hidden. */
describe.each(["near", "sensor"])("seen by camera %s, as mjv_updateScene lists it", (name) => {
  async function both() {
    const loaded = await compile(WORLD, ASSETS);
    const { mj, model, data } = loaded;
    const id = mj.mj_name2id(model, mj.mjtObj.mjOBJ_CAMERA.value, name);
    const option = new mj.MjvOption();
    option.geomgroup[0] = 0;
    const camera = new mj.MjvCamera();
    camera.type = mj.mjtCamera.mjCAMERA_FIXED.value;
    camera.fixedcamid = id;
    const scene = new mj.MjvScene(model, 100);
    const all = mj.mjtCatBit.mjCAT_ALL.value;
    // Twice: infinite planes are put around the camera of the previous call.
    for (let i = 0; i < 2; i++) {
      mj.mjv_updateScene(model, data, option, new mj.MjvPerturb(), camera, all, scene);
    }
    const frustum = frustumOf(model, id);
    const view = new View(64, 48);
    view.set(data, id, frustum);
    return { ...loaded, scene, frustum, view };
  }

  test("the camera", async () => {
    const { scene, frustum, view } = await both();
    const [left, right] = [0, 1].map((i) => scene.camera.get(i)!);
    // MuJoCo stores float32, two eyes: the picture is taken from the middle between them.
    expect(frustum.near).toBeCloseTo(left.frustum_near, 6);
    expect(frustum.far).toBeCloseTo(left.frustum_far, 4);
    expect(frustum.top).toBeCloseTo(left.frustum_top, 7);
    expect(frustum.bottom).toBeCloseTo(left.frustum_bottom, 7);
    expect(frustum.halfWidth).toBeCloseTo(left.frustum_width, 7);
    expect(frustum.center).toBeCloseTo((left.frustum_center + right.frustum_center) / 2, 7);
    for (let k = 0; k < 3; k++) {
      expect(view.eye[k]).toBeCloseTo((left.pos[k] + right.pos[k]) / 2, 5);
      expect(view.forward[k]).toBeCloseTo(left.forward[k], 6);
      expect(view.up[k]).toBeCloseTo(left.up[k], 6);
    }
  });

  test("the geoms and sites", async () => {
    const { mj, model, data, scene, view } = await both();
    const { drawables } = readScene(mj, model, "mujoco-3.14", new RenderMemory());
    updateDrawables(drawables, model, data, view.eye);
    expect(drawables.length).toBe(scene.ngeom);
    drawables.forEach((drawable, i) => {
      const geom = scene.geoms.get(i)!;
      expect(geom.objid).toBe(drawable.id);
      expect(geom.type).toBe(drawable.type);
      const source = drawable.source === "geom" ? mj.mjtObj.mjOBJ_GEOM : mj.mjtObj.mjOBJ_SITE;
      expect(geom.objtype).toBe(source.value);
      for (const field of ["emission", "specular", "shininess", "reflectance"] as const) {
        expect(drawable[field], `${field} of ${i}`).toBeCloseTo(geom[field], 6);
      }
      for (let k = 0; k < 4; k++) expect(drawable.rgba[k], `rgba of ${i}`).toBeCloseTo(geom.rgba[k], 6);
      for (let k = 0; k < 9; k++) expect(drawable.rotation[k], `mat of ${i}`).toBeCloseTo(geom.mat[k], 6);
      for (let k = 0; k < 3; k++) {
        expect(drawable.size[k], `size of ${i}`).toBeCloseTo(geom.size[k], 6);
        expect(drawable.position[k], `pos of ${i}`).toBeCloseTo(geom.pos[k], 3); // metres, at 100 m steps of planes
      }
    });
  });

  test("the lights", async () => {
    const { model, data, scene, view } = await both();
    const lights = new Lights(model, new RenderMemory());
    lights.update(data, view.forward);
    expect(lights.count).toBe(scene.nlight);
    for (let i = 0; i < lights.count; i++) {
      const light = scene.lights.get(i)!;
      const row = (at: number) => {
        const first = (LIGHT_BYTES * i + at) / 8;
        return lights.table.subarray(first, first + 3);
      };
      for (let k = 0; k < 3; k++) {
        expect(row(LIGHT.ambient)[k]).toBeCloseTo(light.ambient[k], 6);
        expect(row(LIGHT.diffuse)[k]).toBeCloseTo(light.diffuse[k], 6);
        expect(row(LIGHT.specular)[k]).toBeCloseTo(light.specular[k], 6);
        expect(row(LIGHT.direction)[k]).toBeCloseTo(light.dir[k], 5);
        if (light.type !== 0) continue; // a directional light has neither position nor attenuation
        expect(row(LIGHT.position)[k]).toBeCloseTo(light.pos[k], 5);
        expect(row(LIGHT.attenuation)[k]).toBeCloseTo(light.attenuation[k], 6);
      }
    }
  });
});
