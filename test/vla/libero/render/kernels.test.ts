import { fc, test as property } from "@fast-check/vitest";
import { expect } from "vitest";
import { frustumOf, View } from "../../../../vla/libero/render/camera.ts";
import { Lights } from "../../../../vla/libero/render/lights.ts";
import { RenderMemory } from "../../../../vla/libero/render/memory.ts";
import { createRenderer } from "../../../../vla/libero/render/renderer.ts";
import { readScene } from "../../../../vla/libero/render/scene.ts";
import { compile, litPixels } from "./inline-model.ts";
import { plainPicture } from "./plain/picture.ts";

/*
 * The kernels against the same formulas written plainly (plain/): pictures are equal byte for byte. The one number that
 * is not computed to the last digit is the level of detail of a texture; its error of 1e-12 does not reach a byte.
 */

const SIZE = 16;
const ASSETS = `
  <texture name="flat" type="2d" builtin="checker" rgb1=".9 .5 .2" rgb2=".2 .3 .6" mark="random" random=".4" width="37" height="22"/>
  <texture name="cube" type="cube" builtin="gradient" rgb1=".8 .4 .1" rgb2=".1 .3 .7" mark="random" random=".2" width="16" height="96"/>
  <texture type="skybox" builtin="gradient" rgb1=".3 .5 .7" rgb2=".1 .1 .2" mark="random" random=".2" width="16" height="96"/>
  <material name="flat" texture="flat" texrepeat="3 2" shininess=".5"/>
  <material name="uniform" texture="flat" texuniform="true" shininess=".33" specular=".8"/>
  <material name="cube" texture="cube" shininess="0" emission=".2"/>
  <material name="matt" specular="0" rgba=".4 .8 .6 1"/>
  <mesh name="wedge" vertex="0 0 0  .4 0 0  0 .4 0  0 0 .4"/>`;

const share = fc.integer({ min: 0, max: 1000 }).map((n) => n / 1000);
/** Coarse steps: things lie in the same planes, and samples see several of them equally near. */
const step = fc.integer({ min: 0, max: 4 }).map((n) => n / 4);
const geom = fc.record({
  type: fc.constantFrom("box", "sphere", "cylinder", "capsule", "ellipsoid", "plane", "mesh"),
  material: fc.constantFrom("flat", "uniform", "cube", "matt"),
  at: fc.tuple(step, step, step),
  size: fc.tuple(step, step, step),
  /** There is another one in the same place. */
  twin: fc.constantFrom(null, "flat", "matt"),
  turn: fc.oneof(fc.constant([0, 0, 0]), fc.tuple(share, share, share)),
});
const light = fc.record({
  at: fc.tuple(share, share, share),
  exponent: fc.constantFrom(0, 2.5, 10, 300),
  attenuation: fc.constantFrom("1 0 0", ".5 .3 .2"),
  kind: fc.constantFrom("spot", "directional"),
});
const vector = (values: readonly number[], scale = 1, shift = 0): string =>
  values.map((value) => scale * value + shift).join(" ");

property.prop(
  [
    fc.array(geom, { minLength: 1, maxLength: 4 }),
    fc.array(light, { maxLength: 2 }),
    fc.tuple(share, share, share),
    fc.constantFrom("mujoco-2.3" as const, "mujoco-3.14" as const),
  ],
  { numRuns: 12 },
)("a picture is what the formulas say, byte for byte", async (geoms, lights, eye, compat) => {
  const things = geoms.flatMap(({ type, material, twin, at, size, turn }) => {
    const shape = type === "mesh" ? 'mesh="wedge"' : `size="${vector(size, 0.5, 0.05)}"`;
    const where = `pos="${vector(at, 2, -1)}" euler="${vector(turn, 360)}"`;
    return [material, twin].map((own) => own && `<geom type="${type}" ${shape} material="${own}" ${where}/>`);
  });
  const floor = '<geom type="box" size="3 3 .1" pos="0 0 -1.2" material="flat"/>';
  const lamps = lights.map(
    ({ at, exponent, attenuation, kind }) =>
      `<light type="${kind}" pos="${vector(at, 4, -2)}" dir="${vector(at, -1, 0.45)}" exponent="${exponent}" attenuation="${attenuation}"/>`,
  );
  // The camera stands on the floor and among the things: some of them reach behind it.
  const camera = `<camera name="eye" pos="${vector(eye, 2, -1)}" xyaxes="${0.2 + eye[1]} ${eye[0]} 0 0 ${eye[2]} .9" fovy="80"/>`;
  using loaded = await compile(camera + floor + things.join("") + lamps.join(""), ASSETS);
  const { mj, model, data } = loaded;
  const memory = new RenderMemory();
  const scene = readScene(mj, model, compat, memory);
  const view = new View(SIZE, SIZE);
  view.set(data, 0, frustumOf(model, 0));
  const expected = plainPicture(scene, model, data, view, new Lights(model, memory));
  const picture = createRenderer(mj, model, data, { width: SIZE, height: SIZE, compat }).render("eye");
  expect(litPixels(picture)).toBeGreaterThan(0);
  expect(picture.data).toEqual(expected);
});
