import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { createRenderer, type RendererOptions } from "../../../../vla/libero/render/renderer.ts";
import type { Image } from "../../../../vla/observation.ts";
import { compile, type Loaded, litPixels, pixel } from "./inline-model.ts";

/**
 * 4 m above the origin, looking down, x to the right and y up in the picture; half the picture's height is 4
 * tan(fovy/2).
 */
const TOP = '<camera name="top" pos="0 0 4" fovy="45"/>';
const TAN = Math.tan(Math.PI / 8);
/** Shines by itself, so that its colour is known: emission 1 and no highlight. */
const GLOW = '<material name="glow" emission="1" specular="0" rgba="1 1 1 1"/>';
/** No light but emission. */
const DARK = '<headlight active="0"/>';
/** With no light at all MuJoCo adds ambient light; a lamp that shines nowhere prevents that. */
const LAMP = '<light pos="0 0 90" dir="0 0 1" diffuse="0 0 0" specular="0 0 0"/>';

function draw({ mj, model, data }: Loaded, options: Partial<RendererOptions> = {}, camera = "top"): Image {
  return createRenderer(mj, model, data, { width: 64, height: 64, ...options }).render(camera);
}

describe("the picture", () => {
  test("is uint8, (H, W, 3), and black where nothing is", async () => {
    using scene = await compile(TOP);
    const image = draw(scene, { width: 20, height: 10 });
    expect(image.shape).toEqual([10, 20, 3]);
    expect(image.data).toBeInstanceOf(Uint8Array);
    expect(litPixels(image)).toBe(0);
  });

  test("shows the skybox where nothing is, its ground downwards", async () => {
    const sky =
      '<texture type="skybox" builtin="flat" rgb1=".2 .4 .6" rgb2=".6 .4 .2" width="16" height="96"/>';
    using scene = await compile(`${TOP}<camera name="level" xyaxes="1 0 0 0 0 1"/>`, sky);
    expect(pixel(draw(scene, {}, "level"), 3, 60)).toEqual([51, 102, 153]);
    expect(pixel(draw(scene), 3, 60)).toEqual([153, 102, 51]);
  });

  test("has its bottom row first and x to the right", async () => {
    using scene = await compile(`${TOP}
      <geom type="box" size=".2 .2 .2" pos="0 1 0" rgba="1 0 0 1"/>
      <geom type="box" size=".2 .2 .2" pos="1 0 0" rgba="0 1 0 1"/>`);
    const image = draw(scene);
    const [up, right] = [pixel(image, 32, 51), pixel(image, 51, 32)];
    expect(up[0]).toBeGreaterThan(up[1]);
    expect(right[1]).toBeGreaterThan(right[0]);
    expect(pixel(image, 32, 12)).toEqual([0, 0, 0]);
  });

  test("is the same each time, from one renderer or two", async () => {
    using scene = await compile(`${TOP}<geom type="sphere" size=".7"/><geom type="capsule" size=".2 .9"/>`);
    const { mj, model, data } = scene;
    const renderer = createRenderer(mj, model, data, { width: 64, height: 64 });
    const first = renderer.render("top");
    expect(renderer.render("top").data).toEqual(first.data);
    expect(draw(scene).data).toEqual(first.data);
    expect(renderer.render("top").data).not.toBe(first.data);
  });

  test("follows the simulation", async () => {
    using scene = await compile(
      `${TOP}<body><joint type="slide" axis="1 0 0"/><geom type="box" size=".2 .2 .2"/></body>`,
    );
    const { mj, model, data } = scene;
    const renderer = createRenderer(mj, model, data, { width: 64, height: 64 });
    expect(pixel(renderer.render("top"), 51, 32)).toEqual([0, 0, 0]);
    data.qpos[0] = 1;
    mj.mj_forward(model, data);
    const moved = renderer.render("top");
    expect(pixel(moved, 51, 32)).not.toEqual([0, 0, 0]);
    expect(pixel(moved, 32, 32)).toEqual([0, 0, 0]);
  });

  test("of a mirrored scene is the mirrored picture", async () => {
    const world = (s: number) => `${TOP}${LAMP}<light type="directional" dir="${s * 0.4} .2 -1"/>
      <geom type="box" size=".3 .4 .2" pos="${s * 0.6} .3 0" rgba="1 0 0 1"/>
      <geom type="sphere" size=".3" pos="${s * -0.6} -.2 0" rgba="0 1 0 1"/>`;
    using scene = await compile(world(1));
    using flipped = await compile(world(-1));
    const a = draw(scene);
    const b = draw(flipped);
    let different = 0;
    for (let y = 0; y < 64; y++) {
      for (let x = 0; x < 64; x++) {
        const [p, q] = [pixel(a, x, y), pixel(b, 63 - x, y)];
        if (p.some((value, k) => Math.abs(value - q[k]) > 2)) different++;
      }
    }
    // Sample positions and the cut of quads into triangles are not symmetric: silhouettes may differ.
    expect(litPixels(a)).toBeGreaterThan(300);
    expect(different).toBeLessThan(40);
  });
});

describe("a silhouette", () => {
  property.prop(
    [fc.double({ min: 0.1, max: 1.2, noNaN: true }), fc.double({ min: 0.1, max: 1.2, noNaN: true })],
    {
      numRuns: 20,
    },
  )("of a box from above is its top face in perspective", async (a, b) => {
    using scene = await compile(`${TOP}<geom type="box" size="${a} ${b} .5" material="glow"/>`, GLOW, DARK);
    const image = draw(scene);
    // The top face is 3.5 m away; 32 pixels are half the picture. Sides are hidden behind it.
    const half = (size: number) => Math.min(32, (32 * size) / (3.5 * TAN));
    let row = 0;
    let column = 0;
    let sum = 0;
    for (let i = 0; i < 64; i++) {
      row += pixel(image, i, 32)[0] / 255;
      column += pixel(image, 32, i)[0] / 255;
      for (let j = 0; j < 64; j++) sum += pixel(image, i, j)[0] / 255;
    }
    expect(Math.abs(row - 2 * half(a))).toBeLessThanOrEqual(0.5); // four sample columns: a quarter pixel per side
    expect(Math.abs(column - 2 * half(b))).toBeLessThanOrEqual(0.5);
    expect(Math.abs(sum - row * column)).toBeLessThan(1);
  });

  test.each([
    ["sphere", '<geom type="sphere" size=".8" material="glow"/>', (32 * 0.8) / Math.sqrt(16 - 0.64) / TAN],
    ["cylinder", '<geom type="cylinder" size=".8 .5" material="glow"/>', (32 * 0.8) / 3.5 / TAN],
    [
      "capsule",
      '<geom type="capsule" size=".8 .3" material="glow"/>',
      (32 * 0.8) / Math.sqrt(3.7 ** 2 - 0.64) / TAN,
    ],
  ])("of a %s from above is a disk", async (_, geom, radius) => {
    using scene = await compile(TOP + geom, GLOW, DARK);
    const image = draw(scene);
    let area = 0;
    for (let i = 0; i < image.data.length; i += 3) area += image.data[i] / 255;
    // The disk is a polygon of 28 corners: its area is 28/2π sin(2π/28) = 0.992 of the circle's.
    const polygon = 0.5 * 28 * Math.sin((2 * Math.PI) / 28) * radius ** 2;
    expect(Math.abs(area - polygon)).toBeLessThan(0.015 * polygon);
  });

  test("does not depend on where the near plane cuts the surface", async () => {
    // A floor that starts behind the camera fills the picture up to the horizon at mid height.
    const camera = '<camera name="level" pos="0 0 1" xyaxes="1 0 0 0 0 1"/>';
    using scene = await compile(`${camera}<geom type="plane" size="30 30 30" material="glow"/>`, GLOW, DARK);
    const image = draw(scene, {}, "level");
    for (let x = 0; x < 64; x++) {
      for (let y = 0; y < 29; y++) expect(pixel(image, x, y)).toEqual([255, 255, 255]);
      for (let y = 32; y < 64; y++) expect(pixel(image, x, y)).toEqual([0, 0, 0]);
    }
  });
});

describe("what hides what", () => {
  const low = '<geom type="box" size=".5 .5 .1" pos="0 0 0" rgba="1 0 0 1"/>';
  const high = '<geom type="box" size=".2 .2 .1" pos="0 0 1" rgba="0 0 1 1"/>';

  test.each([low + high, high + low])("nearer hides farther in any order", async (geoms) => {
    using scene = await compile(TOP + geoms);
    const image = draw(scene);
    const [centre, aside] = [pixel(image, 32, 32), pixel(image, 39, 32)];
    expect(centre[2]).toBeGreaterThan(centre[0]);
    expect(aside[0]).toBeGreaterThan(aside[2]);
  });

  test.each([
    [0, false],
    [1, true],
    [2, true],
    [3, false],
  ])("geoms of group %i are shown: %s", async (group, shown) => {
    using scene = await compile(`${TOP}<geom type="box" size=".5 .5 .5" group="${group}"/>`);
    expect(litPixels(draw(scene)) > 0).toBe(shown);
  });

  test("sites are shown while their opacity is positive", async () => {
    using scene = await compile(`${TOP}<site name="burner" type="cylinder" size=".5 .01" rgba="1 0 0 -1"/>`);
    const { mj, model, data } = scene;
    const renderer = createRenderer(mj, model, data, { width: 64, height: 64 });
    const withOpacity = (alpha: number) => {
      model.site_rgba[3] = alpha;
      return litPixels(renderer.render("top"));
    };
    expect(withOpacity(-1)).toBe(0);
    expect(withOpacity(0)).toBe(0);
    expect(withOpacity(2)).toBeGreaterThan(100);
    expect(withOpacity(-2)).toBe(0);
  });
});

describe("light", () => {
  const FLOOR = '<geom type="plane" size="3 3 1" material="matt"/>';
  const MATT = '<material name="matt" specular="0" rgba="1 .5 .25 1"/>';

  test("of the headlight on a facing surface is ambient plus diffuse", async () => {
    using scene = await compile(TOP + FLOOR, MATT, '<headlight ambient=".1 .1 .1" diffuse=".5 .5 .5"/>');
    expect(pixel(draw(scene), 32, 32)).toEqual([153, 77, 38]); // 0.6 of 255, 127.5 and 63.75
  });

  test("falls off with the cosine of a directional light", async () => {
    const at60 = '<light type="directional" dir="0.8660254 0 -0.5" diffuse="1 1 1" specular="0 0 0"/>';
    using scene = await compile(TOP + at60 + FLOOR, MATT, DARK);
    expect(Math.abs(pixel(draw(scene), 20, 40)[0] - 127.5)).toBeLessThan(1);
  });

  test("of a spot ends at its cone", async () => {
    const spot =
      '<light pos="0 0 2" dir="0 0 -1" cutoff="20" exponent="0" diffuse="1 1 1" specular="0 0 0"/>';
    // Many small cells: light is computed at their corners only.
    using scene = await compile(
      `${TOP + spot}<geom type="plane" size="3 3 .05" material="matt"/>`,
      MATT,
      DARK,
    );
    const image = draw(scene);
    expect(pixel(image, 32, 32)[0]).toBeGreaterThan(240);
    expect(pixel(image, 49, 32)).toEqual([0, 0, 0]); // 0.91 m aside; the cone ends at tan(20°) · 2 = 0.73
    expect(pixel(image, 40, 32)[0]).toBeGreaterThan(200);
  });

  test("is a dim ambient when a model has none", async () => {
    using scene = await compile(TOP + FLOOR, MATT, DARK);
    expect(pixel(draw(scene), 32, 32)).toEqual([77, 38, 19]); // 0.3
  });

  test("highlights are added to the colour of the material", async () => {
    const black = '<material name="matt" specular="1" shininess="1" rgba="0 0 0 1"/>';
    using scene = await compile(`${TOP}<geom type="sphere" size="1" material="matt"/>`, black);
    const image = draw(scene);
    expect(pixel(image, 32, 32)[0]).toBeGreaterThan(100); // headlight: specular 0.5
    expect(pixel(image, 42, 32)[0]).toBeLessThan(10);
  });
});

describe("textures", () => {
  const CHECKER =
    '<texture name="t" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 1 0" width="32" height="32"/>' +
    '<material name="m" texture="t" emission="1" specular="0" texrepeat="1 1"/>';
  const PLANE = '<geom type="plane" size="1 1 1" material="m"/>';

  test.each(["mujoco-2.3", "mujoco-3.14"] as const)("lie on a plane once per repeat (%s)", async (compat) => {
    using scene = await compile(TOP + LAMP + PLANE, CHECKER, DARK);
    const image = draw(scene, { compat });
    // A checker of two cells a side: opposite quadrants agree, neighbours do not.
    const quadrants = [
      pixel(image, 25, 25),
      pixel(image, 39, 25),
      pixel(image, 25, 39),
      pixel(image, 39, 39),
    ];
    expect(quadrants[0]).toEqual(quadrants[3]);
    expect(quadrants[1]).toEqual(quadrants[2]);
    expect(new Set(quadrants.map(String))).toEqual(new Set(["255,0,0", "0,255,0"]));
  });

  test("far away blur to their mean", async () => {
    const fine = CHECKER.replace('texrepeat="1 1"', 'texrepeat="400 400"');
    using scene = await compile(TOP + LAMP + PLANE, fine, DARK);
    const [red, green, blue] = pixel(draw(scene), 30, 35);
    expect(Math.abs(red - 127)).toBeLessThanOrEqual(1);
    expect(Math.abs(green - 127)).toBeLessThanOrEqual(1);
    expect(blue).toBe(0);
  });

  test("repeat in metres where uniform", async () => {
    const uniform = CHECKER.replace("texrepeat", 'texuniform="true" texrepeat');
    const wide = PLANE.replace("1 1 1", "2 1 1");
    using scene = await compile(TOP + LAMP + wide, uniform, DARK);
    const image = draw(scene, { compat: "mujoco-2.3" });
    // One repeat per two metres, whatever the size: the colour changes every metre. At -1.5, -0.5, 0.5, 1.5 m:
    const row = [3, 22, 41, 60].map((x) => String(pixel(image, x, 39)));
    expect(row[0]).toBe(row[2]);
    expect(row[1]).toBe(row[3]);
    expect(row[0]).not.toBe(row[1]);
  });

  test("of a cube colour a box's faces by direction", async () => {
    // Six squares, +x -x +y -y +z -z; "flat" paints all but -y in the first colour.
    const cube =
      '<texture name="t" type="cube" builtin="flat" rgb1="1 0 0" rgb2="0 0 1" width="16" height="96"/>' +
      '<material name="m" texture="t" emission="1" specular="0"/>';
    const seen = async (euler: string): Promise<number[]> => {
      const box = `<geom type="box" size=".5 .5 .5" euler="${euler}" material="m"/>`;
      using scene = await compile(TOP + LAMP + box, cube, DARK);
      return pixel(draw(scene), 32, 32);
    };
    expect(await seen("0 0 0")).toEqual([255, 0, 0]);
    expect(await seen("90 0 0")).toEqual([255, 0, 0]); // +y up
    expect(await seen("-90 0 0")).toEqual([0, 0, 255]); // -y up
  });
});

describe("transparency", () => {
  test("blends over what is behind, twice", async () => {
    const glass = '<material name="glass" emission="1" specular="0" rgba="1 0 0 .5"/>';
    const cobalt = '<material name="blue" emission="1" specular="0" rgba="0 0 1 1"/>';
    using scene = await compile(
      `${TOP + LAMP}<geom type="plane" size="2 2 1" material="blue"/>
       <geom type="box" size=".5 .5 .1" pos="0 0 1" material="glass"/>`,
      glass + cobalt,
      DARK,
    );
    const image = draw(scene);
    // Red over blue at one half, and once more: 3/4 red, 1/4 blue. The order of declaration does not matter.
    const [red, green, blue] = pixel(image, 32, 32);
    expect(Math.abs(red - 191)).toBeLessThanOrEqual(1); // bytes are rounded after each step
    expect(green).toBe(0);
    expect(Math.abs(blue - 64)).toBeLessThanOrEqual(1);
    expect(pixel(image, 55, 32)).toEqual([0, 0, 255]);
  });

  test("shows a plane from behind at 0.3 of its opacity", async () => {
    using scene = await compile(
      `${TOP + LAMP}<geom type="plane" size="2 2 1" euler="180 0 0" material="glow"/>`,
      GLOW,
      DARK,
    );
    // Twice 0.3 over black: 1 - 0.7² = 0.51. Rounded after each step.
    expect(Math.abs(pixel(draw(scene), 32, 32)[0] - 0.51 * 255)).toBeLessThanOrEqual(1);
  });

  test("does not show through what is nearer", async () => {
    const glass = '<geom type="box" size=".5 .5 .1" rgba="1 0 0 .5"/>';
    using scene = await compile(
      `${TOP + LAMP}${glass}<geom type="box" size=".6 .6 .1" pos="0 0 1" material="glow"/>`,
      GLOW,
      DARK,
    );
    expect(pixel(draw(scene), 32, 32)).toEqual([255, 255, 255]);
  });
});

describe("a mirror", () => {
  const CAMERA = '<camera name="side" pos="0 -4 2" xyaxes="1 0 0 0 .4472136 .8944272"/>';
  const ASSETS = (reflectance: number) =>
    `<material name="mirror" specular="0" emission="0" rgba="1 1 1 1" reflectance="${reflectance}"/>${GLOW}`;
  /** A glowing ball above a black-lit mirror: only what the mirror reflects is seen in it. */
  const world = (mirror: string) =>
    `${CAMERA}${LAMP}${mirror}<geom type="sphere" size=".3" pos="0 0 1" material="glow"/>`;
  const FLOOR = '<geom type="plane" size="2 2 2" material="mirror"/>';
  const PLATE = '<geom type="box" size="2 2 .1" pos="0 0 -.1" material="mirror"/>';

  test.each([FLOOR, PLATE])(
    "shows the ball at its mirrored place, dimmed by the reflectance",
    async (mirror) => {
      using scene = await compile(world(mirror), ASSETS(0.4), DARK);
      const image = draw(scene, {}, "side");
      // The image of the ball lies at z = -1. Offset from the camera (0, 4, -3): depth and height along its axes.
      const [forward, up] = [
        [0, 0.8944272, -0.4472136],
        [0, 0.4472136, 0.8944272],
      ];
      const depth = 4 * forward[1] - 3 * forward[2];
      const height = (4 * up[1] - 3 * up[2]) / depth;
      const y = Math.floor(32 + (32 * height) / TAN);
      expect(pixel(image, 32, y)).toEqual([102, 102, 102]);
      expect(pixel(image, 12, y)).toEqual([0, 0, 0]);
    },
  );

  test("that is seen from behind, or does not reflect, shows nothing", async () => {
    using plain = await compile(world(FLOOR), ASSETS(0), DARK);
    using below = await compile(world(FLOOR.replace("size", 'euler="180 0 0" size')), ASSETS(0.4), DARK);
    using bare = await compile(world(""), ASSETS(0.4), DARK);
    expect(draw(plain, {}, "side").data).toEqual(draw(bare, {}, "side").data);
    expect(draw(below, {}, "side").data).toEqual(draw(bare, {}, "side").data);
  });

  test("is the first one only", async () => {
    const far = FLOOR.replace("size=", 'pos="50 50 0" size=');
    using scene = await compile(world(far + FLOOR), ASSETS(0.4), DARK);
    using without = await compile(world(FLOOR), ASSETS(0), DARK);
    expect(draw(scene, {}, "side").data).toEqual(draw(without, {}, "side").data);
  });
});

describe("mistakes are named", () => {
  test("an unknown camera, with those that there are", async () => {
    using scene = await compile(`${TOP}<camera name="side"/>`);
    expect(() => draw(scene, {}, "agentview")).toThrow(
      /expected a camera of the model \(top, side\), found "agentview"/,
    );
  });

  test.each([0, -1, 1.5, Number.NaN])("a size of %d", async (width) => {
    using scene = await compile(TOP);
    expect(() => draw(scene, { width })).toThrow(/expected width to be a positive whole number of pixels/);
  });

  test("a shape it cannot draw", async () => {
    const field = '<hfield name="hills" nrow="2" ncol="2" size="1 1 1 1"/>';
    using scene = await compile(`${TOP}<geom name="land" type="hfield" hfield="hills"/>`, field);
    expect(() => draw(scene)).toThrow(/found geom 0 "land" of mjtGeom 1/);
  });
});
