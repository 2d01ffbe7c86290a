import { fc, test as property } from "@fast-check/vitest";
import { expect } from "vitest";
import { createRenderer } from "../../../../vla/libero/render/renderer.ts";
import { compile, pixel } from "./inline-model.ts";

/* Rules of OpenGL and MuJoCo that a picture shows only in rare places. */

const TOP = '<camera name="top" pos="0 0 4" fovy="30"/>';

/** Half heights and levels that float64 holds exactly: tops are equal to the last bit. */
const eighths = fc.integer({ min: 1, max: 16 }).map((n) => n / 8);
const boxes = fc.uniqueArray(fc.record({ half: eighths, moves: fc.boolean(), at: fc.nat(7) }), {
  minLength: 2,
  maxLength: 5,
  selector: ({ at }) => at,
});

property.prop([boxes, fc.constantFrom(16, 90)], { numRuns: 25 })(
  "of surfaces in one plane the last is seen, whichever is drawn first",
  async (all, size) => {
    // The middle of a thin box is nearer than that of a thick one, and what is near is drawn first.
    const world = all.map(({ half, moves, at }) => {
      const color = [at & 1, (at >> 1) & 1, at >> 2].join(" ");
      const geom = `<geom type="box" size="1 1 ${half}" rgba="${color} 1"/>`;
      return `<body pos="0 0 ${1 - half}">${moves ? "<freejoint/>" : ""}${geom}</body>`;
    });
    using scene = await compile(
      `${TOP}${world.join("")}`,
      "",
      '<headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/>',
    );
    const renderer = createRenderer(scene.mj, scene.model, scene.data, { width: size, height: size });
    const last = all[all.length - 1].at;
    for (const at of [size >> 2, size >> 1, size - 3])
      expect(pixel(renderer.render("top"), at, size >> 1)).toEqual(
        [1, 2, 4].map((bit) => (last & bit ? 255 : 0)),
      );
  },
);

const direction = fc
  .tuple(...[0, 1, 2].map(() => fc.integer({ min: -4, max: 4 })))
  .filter((v) => v.some((x) => x !== 0))
  .map((v) => v.map((x) => x / Math.hypot(...v)));

property.prop([direction, direction], { numRuns: 60 })(
  "with an exponent of 0 the highlight is whole wherever light falls, even on what leans away from the eye",
  async (normal, toLight) => {
    const cosine = normal.reduce((sum, n, k) => sum + n * toLight[k], 0);
    fc.pre(Math.abs(cosine) > 0.01);
    const normals = `normal="${Array(4).fill(normal.join(" ")).join("  ")}"`;
    const mesh =
      `<mesh name="tent" vertex="-1 -1 0  1 -1 0  0 1 0  0 0 -1" ${normals}` +
      ' texcoord="0 0  1 0  0 1  1 1" face="0 1 2  0 3 1  1 3 2  2 3 0"/>';
    using scene = await compile(
      `${TOP}<light type="directional" dir="${toLight.map((x) => -x).join(" ")}" ambient="0 0 0" specular=".4 .4 .4"/>
       <geom type="mesh" mesh="tent" material="black"/>`,
      `${mesh}<material name="black" rgba="0 0 0 1" specular="1" shininess="0"/>`,
      '<headlight active="0"/>',
    );
    const renderer = createRenderer(scene.mj, scene.model, scene.data, { width: 16, height: 16 });
    expect(pixel(renderer.render("top"), 8, 8)).toEqual(Array(3).fill(cosine > 0 ? 102 : 0));
  },
);
