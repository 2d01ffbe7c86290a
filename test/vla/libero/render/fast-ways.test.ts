import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { View } from "../../../../vla/libero/render/camera.ts";
import { CLUSTER, makeClusters } from "../../../../vla/libero/render/clusters.ts";
import { Culler } from "../../../../vla/libero/render/culling.ts";
import { FRAME, FRAME_BYTES } from "../../../../vla/libero/render/layout.ts";
import { RenderMemory } from "../../../../vla/libero/render/memory.ts";
import { Occlusion } from "../../../../vla/libero/render/occlusion.ts";
import { createRenderer } from "../../../../vla/libero/render/renderer.ts";
import { SAMPLES } from "../../../../vla/libero/render/samples.ts";
import { readScene, updateDrawables } from "../../../../vla/libero/render/scene.ts";
import { sphereSurface } from "../../../../vla/libero/render/shapes.ts";
import { compile, type Loaded, litPixels } from "./inline-model.ts";

/*
 * What makes pictures fast must not be seen in them. What is kept from picture to picture: a renderer that has drawn
 * other states draws each as a new one does. What is left out: no triangle of a cluster that is culled faces the eye
 * in the picture.
 */

const SIZE = 40;
const render = ({ mj, model, data }: Loaded) =>
  createRenderer(mj, model, data, { width: SIZE, height: SIZE });

/** Fixed and moving things of every kind, some of them seen in a mirror, by a fixed camera and one that is carried. */
const WORLD = `
  <camera name="fixed" pos="0 -2.5 2" xyaxes="1 0 0 0 .62 .78"/>
  <camera name="other" pos="1.5 -2 1.5" xyaxes=".8 .6 0 -.3 .4 .85"/>
  <light pos="1 1 3" dir="-.3 -.3 -1"/>
  <geom type="plane" size="1 1 .1" material="mirror"/>
  <geom type="box" size=".2 .2 .2" pos="-.5 .5 .2" material="tiles"/>
  <geom type="cylinder" size=".2 .3" pos=".6 .6 .3" rgba=".2 .8 .3 1"/>
  <geom type="sphere" size=".2" pos=".5 -.5 .2" rgba=".9 .9 .2 .5"/>
  <site name="lamp" type="sphere" size=".15" pos="-.6 -.3 .2" rgba="1 0 0 1"/>
  <body name="shelf" pos="-.9 0 .6"><geom type="box" size=".1 .5 .02" material="tiles"/></body>
  <body pos="0 0 .5"><freejoint/>
    <geom type="mesh" mesh="wedge" material="tiles"/>
    <geom type="capsule" size=".05 .2" pos=".3 0 .2" euler="40 0 0" rgba=".8 .2 .2 1"/>
    <geom type="ellipsoid" size=".1 .2 .1" pos="-.2 .2 0" rgba=".2 .2 .9 .6"/>
    <light pos="0 0 .5" dir="0 0 -1" diffuse=".3 .3 .3"/>
    <camera name="carried" pos="0 -.3 .6" xyaxes="1 0 0 0 .9 .5"/>
  </body>`;
const ASSETS = `
  <texture name="t" type="2d" builtin="checker" rgb1=".9 .5 .2" rgb2=".2 .3 .6" width="32" height="32"/>
  <texture type="skybox" builtin="gradient" rgb1=".3 .5 .7" rgb2=".1 .1 .2" width="16" height="96"/>
  <material name="tiles" texture="t" texrepeat="3 3"/>
  <material name="mirror" texture="t" reflectance=".4"/>
  <mesh name="wedge" vertex="0 0 0  .4 0 0  0 .4 0  0 0 .4"/>`;

const share = fc.integer({ min: 0, max: 1000 }).map((n) => n / 1000);
/** What may change between two pictures. */
const change = fc.oneof(
  fc.record({ kind: fc.constant("pose" as const), values: fc.array(share, { minLength: 7, maxLength: 7 }) }),
  fc.record({
    kind: fc.constant("fixture" as const),
    values: fc.array(share, { minLength: 3, maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant("lamp" as const),
    values: fc.constantFrom(-1, 0, 0.5, 2).map((alpha) => [alpha]),
  }),
  fc.record({ kind: fc.constant("color" as const), values: fc.array(share, { minLength: 4, maxLength: 4 }) }),
  fc.record({ kind: fc.constant("light" as const), values: fc.array(share, { minLength: 3, maxLength: 3 }) }),
  fc.record({
    kind: fc.constant("camera" as const),
    values: fc.array(share, { minLength: 3, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant("nothing" as const), values: fc.constant<number[]>([]) }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function apply({ mj, model, data }: Loaded, { kind, values }: Change): void {
  if (kind === "pose") {
    data.qpos.set([values[0] - 0.5, values[1] - 0.5, values[2], ...values.slice(3).map((v) => v + 0.01)]);
  } else if (kind === "fixture") model.body_pos.set(values, 3);
  else if (kind === "lamp") model.site_rgba[3] = values[0];
  else if (kind === "color") model.geom_rgba.set(values, 4 * 2);
  else if (kind === "light")
    model.light_pos.set(
      values.map((v) => 4 * v),
      0,
    );
  else if (kind === "camera") model.cam_pos.set([values[0], -2 - values[1], 2 * values[2]], 0);
  mj.mj_forward(model, data);
}

describe("a renderer that has drawn other states", () => {
  property.prop([fc.array(change, { minLength: 1, maxLength: 4 })], { numRuns: 10 })(
    "draws each as a new renderer does, byte for byte",
    async (changes) => {
      using scene = await compile(WORLD, ASSETS);
      const renderer = render(scene);
      for (const each of [{ kind: "nothing" as const, values: [] }, ...changes]) {
        apply(scene, each);
        for (const camera of ["fixed", "carried", "other"]) {
          const picture = renderer.render(camera).data;
          expect(Buffer.compare(picture, render(scene).render(camera).data), `${each.kind} ${camera}`).toBe(
            0,
          );
        }
      }
    },
  );

  test("sees all of the changes that are tried above", async () => {
    const changes: Change[] = [
      { kind: "pose", values: [0.1, 0.9, 0.6, 0.5, 0.1, 0.8, 0.3] },
      { kind: "fixture", values: [0.1, 0.2, 0.9] },
      { kind: "lamp", values: [-1] },
      { kind: "color", values: [1, 0, 1, 1] },
      { kind: "light", values: [0.1, 0.2, 0.3] },
      { kind: "camera", values: [0.4, 0.5, 0.6] },
    ];
    using scene = await compile(WORLD, ASSETS);
    const renderer = render(scene);
    let before = renderer.render("fixed");
    expect(litPixels(before)).toBe(SIZE * SIZE);
    for (const each of changes) {
      apply(scene, each);
      const after = renderer.render("fixed");
      expect(Buffer.compare(after.data, before.data), each.kind).not.toBe(0);
      before = after;
    }
  });
});

/** A soup of triangles, neighbours or not, flat ones among them. */
const soup = fc
  .array(fc.tuple(share, share, share, share, share, share, share), { minLength: 1, maxLength: 200 })
  .map((rows) => {
    const points = rows.flatMap(([x, y, z, a, b, c, size]) => {
      const small = 0.05 + 0.3 * size;
      return [x, y, z, x + small * a, y + small * b, z, x + small * c, y, z + small * a];
    });
    const turns = rows.map((_, i) =>
      i % 3 === 0 ? [3 * i, 3 * i + 2, 3 * i + 1] : [3 * i, 3 * i + 1, 3 * i + 2],
    );
    return { points: Float32Array.from(points), triangles: Uint32Array.from(turns.flat()) };
  });

describe("clusters", () => {
  property.prop([soup])("hold every triangle once, with its own points", ({ points, triangles }) => {
    const clusters = makeClusters(points, triangles);
    const total = triangles.length / 3;
    expect(clusters.count).toBe(Math.ceil(total / CLUSTER));
    expect([...clusters.triangles].sort((a, b) => a - b)).toEqual([...Array(total).keys()]);
    clusters.triangles.forEach((triangle, place) => {
      const first = clusters.firstPoint[Math.floor(place / CLUSTER)];
      for (let k = 0; k < 3; k++) {
        const own = 3 * (first + clusters.corners[3 * place + k]);
        const point = 3 * triangles[3 * triangle + k];
        expect(clusters.points.subarray(own, own + 3)).toEqual(points.subarray(point, point + 3));
      }
    });
  });

  property.prop(
    [
      share,
      share,
      share,
      fc.tuple(share, share, share, share),
      fc.constantFrom("box", "ellipsoid", "cylinder"),
    ],
    { numRuns: 40 },
  )("that are culled have no triangle that faces the eye in the picture", async (x, y, z, turn, type) => {
    const quat = turn.map((value) => value - 0.49).join(" ");
    using scene = await compile(
      `<camera name="c" pos="0 0 3"/><geom type="${type}" size="${0.1 + x} ${0.1 + y} ${0.1 + z}"
        pos="${3 * x - 1.5} ${3 * y - 1.5} ${3 * z}" quat="${quat}"/>`,
    );
    const { mj, model, data } = scene;
    const { drawables } = readScene(mj, model, "mujoco-2.3", new RenderMemory());
    const view = new View(SIZE, SIZE);
    const frustum = { near: 0.01, far: 50, top: 0.004, bottom: -0.004, center: 0, halfWidth: 0 };
    view.set(data, 0, frustum);
    updateDrawables(drawables, model, data, view.eye);
    const [part] = drawables[0].parts;
    const { clusters } = part.surface;
    const culler = new Culler();
    culler.aim(part, view, 0, SIZE, 0, SIZE);
    const w = part.world;
    for (let place = 0; place < clusters.triangles.length; place++) {
      const cluster = Math.floor(place / CLUSTER);
      const outside = culler.isOutside(clusters, cluster);
      const away = culler.isTurnedAway(clusters, cluster);
      if (!outside && !away) continue;
      const [a, b, c] = [0, 1, 2].map((k) => {
        const at = 3 * (clusters.firstPoint[cluster] + clusters.corners[3 * place + k]);
        const p = clusters.points.subarray(at, at + 3);
        return [0, 4, 8].map(
          (i, j) => w[i] * p[0] + w[i + 1] * p[1] + w[i + 2] * p[2] + w[i + 3] - view.eye[j],
        );
      });
      if (away) {
        const volume =
          a[0] * (b[1] * c[2] - b[2] * c[1]) -
          a[1] * (b[0] * c[2] - b[2] * c[0]) +
          a[2] * (b[0] * c[1] - b[1] * c[0]);
        expect(volume).toBeGreaterThan(-1e-12); // its back, or edge on
      }
      if (outside) {
        // All corners beyond one side of the view; the camera looks along -z, half of its height is 0.4 of the depth.
        const beyond = [0, 1].flatMap((k) => [1, -1].map((s) => (p: number[]) => s * p[k] + 0.4 * p[2]));
        const sides = [...beyond, (p: number[]) => p[2] + 0.01, (p: number[]) => -50 - p[2]];
        expect(sides.some((side) => [a, b, c].every((p) => side(p) > -1e-9))).toBe(true);
      }
    }
  });

  property.prop([
    fc.array(share, { minLength: 25, maxLength: 25 }),
    fc.array(fc.tuple(share, share, share, share), { minLength: 1, maxLength: 8 }),
  ])("that are hidden have no point before what is drawn", (tiles, places) => {
    const { clusters } = sphereSurface(28, 16);
    const view = new View(SIZE, SIZE);
    view.near = 0.1;
    [view.shiftX, view.shiftY] = [SIZE / 2, SIZE / 2];
    const depth = new Float32Array(SAMPLES * SIZE * SIZE);
    const occlusion = new Occlusion(view, new RenderMemory());
    occlusion.begin();
    const whole = { left: 0, right: SIZE - 1, bottom: 0, top: SIZE - 1 };
    for (const [x, y, z, size] of places) {
      // A camera at the origin that looks along z: half of the picture is as wide as it is far away.
      const [half, r] = [SIZE / 2, 0.05 + size];
      const map = new Float64Array(FRAME_BYTES / 8);
      map.set([half * r, 0, 0, half * r, 0, 0, half * (2 * x - 1), half * (2 * y - 1)], FRAME.columns / 8);
      map.set([0, 0, r, 1.5 + z], FRAME.depthRow / 8);
      for (let c = 0; c < clusters.count; c++) {
        if (!occlusion.hides(clusters, c, map, whole, depth)) continue;
        for (let p = 3 * clusters.firstPoint[c]; p < 3 * clusters.firstPoint[c + 1]; p += 3) {
          const [px, py, pz] = clusters.points.subarray(p, p + 3);
          const away = r * pz + 1.5 + z;
          const column = Math.floor((half * (r * px + 2 * x - 1)) / away + half);
          const row = Math.floor((half * (r * py + 2 * y - 1)) / away + half);
          if (column < 0 || column >= SIZE || row < 0 || row >= SIZE) continue;
          const first = SAMPLES * (SIZE * row + column);
          for (let s = first; s < first + SAMPLES; s++) expect(depth[s]).toBeGreaterThan(1 / away);
        }
      }
      // More is drawn: on a part of the picture that is larger each time, tile by tile nearer.
      const rows = Math.ceil(SIZE * size);
      for (let s = 0; s < SAMPLES * SIZE * rows; s++) {
        const pixel = s >> 2;
        const tile = 5 * (Math.floor(pixel / SIZE) >> 3) + ((pixel % SIZE) >> 3);
        depth[s] = Math.max(depth[s], 2 * tiles[tile]);
      }
      occlusion.stale.fill(1, 0, 5 * Math.ceil(rows / 8));
    }
  });
});
