import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test as property } from "@fast-check/vitest";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Cache } from "../../../../core/index.ts";
import { meshSurface } from "../../../../vla/libero/render/mesh-surface.ts";
import { meshSurfaces, pack, SURFACES_VERSION, unpack } from "../../../../vla/libero/render/mesh-surfaces.ts";
import { createRenderer } from "../../../../vla/libero/render/renderer.ts";
import { sphereSurface } from "../../../../vla/libero/render/shapes.ts";
import { makeSurface, type Surface } from "../../../../vla/libero/render/surface.ts";
import { compile, type Loaded } from "./inline-model.ts";

/** Triangles anywhere, with texture coordinates or without. */
const surface = fc
  .record({
    triangles: fc.integer({ min: 1, max: 150 }),
    ownUvs: fc.boolean(),
    seed: fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 60 }),
  })
  .map(({ triangles, ownUvs, seed }): Surface => {
    const numbers = (count: number): Float32Array =>
      Float32Array.from({ length: count }, (_, i) => seed[(i * 7) % seed.length] / 3);
    const corners = Uint32Array.from({ length: 3 * triangles }, (_, i) => i);
    const uvs = ownUvs ? numbers(6 * triangles) : null;
    return makeSurface(numbers(9 * triangles), numbers(9 * triangles), uvs, corners);
  });

property.prop([fc.array(surface, { maxLength: 3 })])("surfaces come back as they were packed", (surfaces) => {
  const meshes = new Set(surfaces.map((_, i) => 10 * i));
  const back = unpack(pack(surfaces), meshes);
  expect([...back.keys()]).toEqual([...meshes]);
  expect([...back.values()]).toEqual(surfaces);
});

const MESHES =
  '<mesh name="tent" vertex="0 0 0  1 0 0  0 1 0  0 0 1" face="0 2 1  0 1 3  1 2 3  2 0 3"/>' +
  '<mesh name="wedge" vertex="0 0 0  1 0 0  0 2 0  0 0 1" texcoord="0 0  1 0  0 1  1 1"' +
  ' face="0 2 1  0 1 3  1 2 3  2 0 3"/>';
const WORLD = `<camera name="top" pos="0 0 4"/><light pos="1 1 4" dir="0 0 -1"/>
  <geom type="mesh" mesh="tent"/><geom type="mesh" mesh="wedge" pos=".8 0 0"/>`;

describe("surfaces of meshes that are kept", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "nina-ts-surfaces-"));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  const picture = ({ mj, model, data }: Loaded, cache?: Cache): Uint8Array =>
    createRenderer(mj, model, data, { width: 32, height: 32, cache }).render("top").data as Uint8Array;

  test("give the picture of those just made, and are kept once", async () => {
    using scene = await compile(WORLD, MESHES);
    const cache = new Cache(folder);
    const made = picture(scene);
    expect(made.some((byte) => byte > 0)).toBe(true);
    const write = vi.spyOn(cache, "write");
    expect(picture(scene, cache)).toEqual(made);
    expect(picture(scene, cache)).toEqual(made);
    expect(write).toHaveBeenCalledTimes(1);
  });

  test("are made anew for a mesh of which one number is another", async () => {
    using scene = await compile(WORLD, MESHES);
    const cache = new Cache(folder);
    meshSurfaces(scene.model, new Set([0, 1]), cache);
    for (const table of ["mesh_vert", "mesh_normal", "mesh_texcoord"] as const) {
      scene.model[table][3] += 0.125;
      const kept = meshSurfaces(scene.model, new Set([0, 1]), cache);
      for (const [mesh, found] of kept) expect(found).toEqual(meshSurface(scene.model, mesh));
    }
    expect(cache.entries()).toHaveLength(4);
  });

  test("are those of their version", async () => {
    using scene = await compile(WORLD, MESHES);
    const meshes = [0, 1].map((mesh) => meshSurface(scene.model, mesh));
    const packed = pack([...meshes, sphereSurface(28, 16)]); // which has several clusters
    // Another digest means that what is kept is not what would be made: raise the version, then write the new one here.
    const digest = createHash("sha256").update(packed).digest("hex").slice(0, 16);
    expect([SURFACES_VERSION, digest]).toEqual([1, "e70c62568c39eda3"]);
  });
});
