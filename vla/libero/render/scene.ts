import type { MainModule, MjData, MjModel } from "@mujoco/mujoco";
import { Cache } from "../../../core/index.ts";
import type { Compat } from "./compat.ts";
import {
  BOX,
  CAPSULE,
  CYLINDER,
  Drawable,
  ELLIPSOID,
  MESH,
  type Part,
  PLANE,
  SPHERE,
  WORLD,
} from "./drawable.ts";
import { LIT_BYTES, PART, PART_BYTES } from "./layout.ts";
import type { RenderMemory } from "./memory.ts";
import { meshSurfaces } from "./mesh-surfaces.ts";
import {
  boxSurface,
  cylinderSurface,
  finiteAxis,
  infiniteAxis,
  type PlaneAxis,
  planeSurface,
  sphereSurface,
} from "./shapes.ts";
import { CORNER_STRIDE, holdSurface, type Surface } from "./surface.ts";
import { skyboxOf, type Texture, Textures } from "./texture.ts";
import { type Tiling, textureCoordinates } from "./texture-coordinates.ts";

/** Geom groups of LIBERO: 0 holds collision shapes and is hidden, 1 and 2 are shown, 3 and above hidden as usual. */
const GEOM_GROUPS: readonly number[] = [1, 2];
/** Site groups that MuJoCo shows by default. */
const SITE_GROUPS: readonly number[] = [0, 1, 2];
/** `mjNTEXROLE` and `mjTEXROLE_RGB`: a material holds one texture per role, and this one colours it. */
const TEXTURE_ROLES = 10;
const ROLE_RGB = 1;
/** A geom of exactly this colour takes its material's. */
const UNSET_COLOR = 0.5;
/** From this opacity on a drawable counts as opaque. */
const OPAQUE = 0.995;

/** What both geoms and sites have in the model's tables. */
interface Row {
  source: "geom" | "site";
  id: number;
  body: number;
  type: number;
  size: readonly [number, number, number];
  material: number;
  mesh: number;
  /** Bounding radius from the model's table; 0 where it has none. */
  bound: number;
}

/** All that a model can show: its geoms in order, then its sites. */
export interface RenderScene {
  readonly drawables: readonly Drawable[];
  /** All parts of the drawables, in order. */
  readonly parts: readonly Part[];
  /** What the kernels know of each part: `PART` of layout.ts, (parts, PART_BYTES / 8). */
  readonly blocks: Float64Array;
  /** The texture behind everything, null for black. */
  readonly skybox: Texture | null;
  readonly textures: Textures;
}

/**
 * Reads what stays for the life of the model: shapes, meshes, materials, textures with their mipmaps.
 *
 * @param cache where what is made of meshes is kept between processes; default: nowhere.
 */
export function readScene(
  mj: MainModule,
  model: MjModel,
  compat: Compat,
  memory: RenderMemory,
  cache = new Cache(null),
): RenderScene {
  if (model.nflex > 0 || model.nskin > 0) {
    throw new Error(
      `createRenderer: flexes and skins are not drawn, found ${model.nflex} and ${model.nskin}`,
    );
  }
  const visible = visibleRows(mj, model);
  const meshes = meshSurfaces(model, new Set(visible.filter(isMesh).map(({ mesh }) => mesh)), cache);
  const surfaces = new SurfaceShelf(model, meshes, memory);
  const textures = new Textures(model, compat, memory);
  const rows = visible.map((row) => ({ row, shapes: surfaces.shapesOf(row) }));
  const partCount = rows.reduce((sum, { shapes }) => sum + shapes.length, 0);
  const blocks = memory.doubles((PART_BYTES / 8) * partCount);
  const parts: Part[] = [];
  const drawables = rows.map(({ row, shapes }) => {
    const drawable = makeDrawable(model, row);
    const textureId: number =
      row.material < 0 ? -1 : model.mat_texid[TEXTURE_ROLES * row.material + ROLE_RGB];
    for (const { surface, scale, shift } of shapes) {
      const texture = textureId < 0 ? null : textures.get(textureId);
      const found =
        texture && textureCoordinates(drawable, surface, texture, tilingOf(model, row.material), compat);
      const coordinates = found && found !== surface.uvs ? memory.copy(found) : found;
      const index = parts.length;
      const block = blocks.subarray((PART_BYTES / 8) * index, (PART_BYTES / 8) * (index + 1));
      const world = block.subarray(PART.world / 8, PART.world / 8 + 12);
      const part = { owner: drawable, index, surface, scale, shift, world, depth: 0 };
      parts.push({ ...part, texture: coordinates && texture, coordinates });
      fillBlock(parts[index], block, memory);
    }
    drawable.parts.push(...parts.slice(parts.length - shapes.length));
    return drawable;
  });
  const sky = skyboxOf(model);
  return { drawables, parts, blocks, skybox: sky < 0 ? null : textures.get(sky), textures };
}

/** Writes what stays for the life of the model into the block of a part. */
function fillBlock(
  { owner, surface, scale, texture, coordinates }: Part,
  block: Float64Array,
  memory: RenderMemory,
): void {
  block.set(scale, PART.scale / 8);
  block[PART.specular / 8] = owner.specular;
  block[PART.exponent / 8] = 128 * owner.shininess;
  const addresses = new Int32Array(block.buffer, block.byteOffset, PART_BYTES / 4);
  const cornerCount = surface.corners.length / CORNER_STRIDE;
  addresses[PART.corners / 4] = surface.corners.byteOffset;
  addresses[PART.triangleCorners / 4] = surface.triangleCorners.byteOffset;
  addresses[PART.lit / 4] = memory.bytes(LIT_BYTES * cornerCount).byteOffset;
  if (texture === null || coordinates === null) return;
  addresses[PART.texture / 4] = texture.address;
  addresses[PART.coordinates / 4] = coordinates.byteOffset;
  addresses[PART.coordinateBytes / 4] = texture.kind === "cube" ? 12 : 8;
}

const isMesh = ({ type }: Row): boolean => type === MESH;

function visibleRows(mj: MainModule, model: MjModel): Row[] {
  const rows: Row[] = [];
  for (let id = 0; id < model.ngeom; id++) {
    if (!GEOM_GROUPS.includes(model.geom_group[id])) continue;
    const type: number = model.geom_type[id];
    const size: [number, number, number] = Array.from(model.geom_size.subarray(3 * id, 3 * id + 3)) as never;
    rows.push({
      source: "geom",
      id,
      body: model.geom_bodyid[id],
      type,
      size: axisSizes(type, size),
      material: model.geom_matid[id],
      mesh: model.geom_dataid[id],
      bound: model.geom_rbound[id],
    });
  }
  for (let id = 0; id < model.nsite; id++) {
    if (!SITE_GROUPS.includes(model.site_group[id])) continue;
    const type: number = model.site_type[id];
    const size: [number, number, number] = Array.from(model.site_size.subarray(3 * id, 3 * id + 3)) as never;
    rows.push({
      source: "site",
      id,
      body: model.site_bodyid[id],
      type,
      size: axisSizes(type, size),
      material: model.site_matid[id],
      mesh: -1,
      bound: 0,
    });
  }
  for (const { source, id, type } of rows) {
    if (![PLANE, SPHERE, CAPSULE, ELLIPSOID, CYLINDER, BOX, MESH].includes(type)) {
      const kind = source === "geom" ? mj.mjtObj.mjOBJ_GEOM.value : mj.mjtObj.mjOBJ_SITE.value;
      throw new Error(
        "createRenderer: expected planes, spheres, capsules, ellipsoids, cylinders, boxes and meshes, " +
          `found ${source} ${id} "${mj.mj_id2name(model, kind, id)}" of mjtGeom ${type}`,
      );
    }
  }
  return rows;
}

/** The model stores radius first and half length second for round shapes; drawing wants a scale per axis. */
function axisSizes(type: number, size: [number, number, number]): [number, number, number] {
  if (type === SPHERE) return [size[0], size[0], size[0]];
  if (type === CAPSULE || type === CYLINDER) return [size[0], size[0], size[1]];
  return size;
}

function makeDrawable(model: MjModel, row: Row): Drawable {
  const { source, id, type, size, material } = row;
  const fixed = model.body_weldid[row.body] === WORLD;
  const shine =
    material < 0
      ? { emission: 0, specular: 0.5, shininess: 0.5, reflectance: 0, materialRgba: null }
      : {
          emission: model.mat_emission[material] as number,
          specular: model.mat_specular[material] as number,
          shininess: model.mat_shininess[material] as number,
          reflectance: model.mat_reflectance[material] as number,
          materialRgba: Array.from(model.mat_rgba.subarray(4 * material, 4 * material + 4) as Float32Array),
        };
  const radius = row.bound > 0 ? row.bound : boundingRadius(type, size);
  const gridSteps: [number, number] =
    type === PLANE ? [planeAxis(model, row, 0).step, planeAxis(model, row, 1).step] : [0, 0];
  return new Drawable({ source, id, fixed, type, size, radius, ...shine, gridSteps });
}

function boundingRadius(type: number, size: readonly [number, number, number]): number {
  if (type === SPHERE || type === ELLIPSOID) return Math.max(...size);
  if (type === CAPSULE) return size[0] + size[2];
  if (type === CYLINDER) return Math.hypot(size[0], size[2]);
  return type === BOX ? Math.hypot(...size) : 0;
}

function tilingOf(model: MjModel, material: number): Tiling {
  const row = model.mat(material); // the only way to a boolean field in 3.14: its array cannot be read
  const uniform = Boolean(row.texuniform);
  row.delete();
  return { repeat: [model.mat_texrepeat[2 * material], model.mat_texrepeat[2 * material + 1]], uniform };
}

/** Planes keep their true size, since their grid depends on it. */
function planeAxis(model: MjModel, row: Row, k: 0 | 1): PlaneAxis {
  if (row.size[k] > 0) return finiteAxis(row.size[k], row.size[2]);
  const zfar: number = model.vis.map.zfar * model.stat.extent;
  return infiniteAxis(zfar, row.material < 0 ? 0 : model.mat_texrepeat[2 * row.material + k]);
}

interface Shape {
  readonly surface: Surface;
  readonly scale: readonly [number, number, number];
  readonly shift: number;
}

const UNSCALED: readonly [number, number, number] = [1, 1, 1];

/** Surfaces of a model, each made once, on first use. */
class SurfaceShelf {
  readonly #model: MjModel;
  readonly #meshes: ReadonlyMap<number, Surface>;
  readonly #memory: RenderMemory;
  readonly #made = new Map<string, Surface>();

  constructor(model: MjModel, meshes: ReadonlyMap<number, Surface>, memory: RenderMemory) {
    this.#model = model;
    this.#meshes = meshes;
    this.#memory = memory;
  }

  shapesOf(row: Row): Shape[] {
    const { size } = row;
    const whole = (surface: Surface, scale = size): Shape[] => [{ surface, scale, shift: 0 }];
    const { numslices: slices, numstacks: stacks, numquads: quads } = this.#model.vis.quality;
    switch (row.type) {
      case PLANE:
        return whole(
          holdSurface(
            planeSurface(planeAxis(this.#model, row, 0), planeAxis(this.#model, row, 1)),
            this.#memory,
          ),
          UNSCALED,
        );
      case BOX:
        return whole(this.#once("box", () => boxSurface(quads)));
      case CYLINDER:
        return whole(this.#once("cylinder", () => cylinderSurface(slices, stacks, true)));
      case CAPSULE: {
        const [radius, , half] = size;
        const cap: [number, number, number] = [radius, radius, radius];
        const side = this.#once("tube", () => cylinderSurface(slices, stacks, false));
        const top = this.#once("top", () => sphereSurface(slices, stacks >> 1, 0, 1, 1));
        const bottom = this.#once("bottom", () => sphereSurface(slices, stacks >> 1, -1, 0, -1));
        return [
          { surface: side, scale: size, shift: 0 },
          { surface: top, scale: cap, shift: half - radius }, // the half sphere itself is lifted by one radius
          { surface: bottom, scale: cap, shift: radius - half },
        ];
      }
      case MESH:
        return whole(
          this.#once(`mesh ${row.mesh}`, () => this.#meshes.get(row.mesh)!),
          UNSCALED,
        );
      default:
        return whole(this.#once("sphere", () => sphereSurface(slices, stacks)));
    }
  }

  #once(key: string, make: () => Surface): Surface {
    let surface = this.#made.get(key);
    if (!surface) this.#made.set(key, (surface = holdSurface(make(), this.#memory)));
    return surface;
  }
}

/** Takes poses and colours of this frame from the simulation, seen by an eye at `eye`. */
export function updateDrawables(
  drawables: readonly Drawable[],
  model: MjModel,
  data: MjData,
  eye: Float64Array,
): void {
  const geoms = { position: data.geom_xpos, rotation: data.geom_xmat, rgba: model.geom_rgba };
  const sites = { position: data.site_xpos, rotation: data.site_xmat, rgba: model.site_rgba };
  for (const drawable of drawables) {
    const { source, id, position, rotation } = drawable;
    const from = source === "geom" ? geoms : sites;
    for (let k = 0; k < 3; k++) position[k] = from.position[3 * id + k];
    for (let k = 0; k < 9; k++) rotation[k] = from.rotation[9 * id + k];
    updateColor(drawable, from.rgba, 4 * id);
    if (drawable.type === PLANE) followCamera(drawable, eye);
    const facing =
      (eye[0] - position[0]) * rotation[2] +
      (eye[1] - position[1]) * rotation[5] +
      (eye[2] - position[2]) * rotation[8];
    drawable.behind = facing < 0;
    drawable.transparent = drawable.rgba[3] < OPAQUE || (drawable.type === PLANE && drawable.behind);
    drawable.distance =
      drawable.type === PLANE
        ? Infinity
        : Math.hypot(eye[0] - position[0], eye[1] - position[1], eye[2] - position[2]) - drawable.radius;
    for (const part of drawable.parts) placePart(part);
  }
}

function updateColor(drawable: Drawable, rgba: Float32Array, at: number): void {
  let unset = true;
  for (let k = 0; k < 4; k++) unset &&= rgba[at + k] === (k < 3 ? UNSET_COLOR : 1);
  const { materialRgba } = drawable;
  for (let k = 0; k < 4; k++) drawable.rgba[k] = unset && materialRgba ? materialRgba[k] : rgba[at + k];
}

/** Moves a plane along its infinite axes so that its grid stays around the eye. */
function followCamera(plane: Drawable, eye: Float64Array): void {
  for (let k = 0; k < 2; k++) {
    const step = plane.gridSteps[k];
    if (step === 0) continue;
    const { position: p, rotation: r } = plane;
    const offset = (eye[0] - p[0]) * r[k] + (eye[1] - p[1]) * r[3 + k] + (eye[2] - p[2]) * r[6 + k];
    const move = 2 * step * Math.round((0.5 * offset) / step);
    for (let i = 0; i < 3; i++) p[i] += move * r[3 * i + k];
  }
}

/** This frame's `world` of a part: rotation · scale, and the position of the part's origin. */
export function placePart(part: Part): void {
  const { rotation: r, position: p } = part.owner;
  const { world, scale, shift } = part;
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 3; j++) world[4 * i + j] = r[3 * i + j] * scale[j];
    world[4 * i + 3] = p[i] + r[3 * i + 2] * shift;
  }
}
