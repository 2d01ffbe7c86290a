import type { Surface } from "./surface.ts";
import type { Texture } from "./texture.ts";

/** `mjtGeom`: the shapes this renderer draws. */
export const PLANE = 0;
export const SPHERE = 2;
export const CAPSULE = 3;
export const ELLIPSOID = 4;
export const CYLINDER = 5;
export const BOX = 6;
export const MESH = 7;

/** The body that everything fixed is welded to. */
export const WORLD = 0;

/** One surface of a drawable, scaled and shifted in the drawable's frame; a capsule has three, the others one. */
export interface Part {
  readonly owner: Drawable;
  /** Its number among the parts of the scene, in the order they are drawn. */
  readonly index: number;
  readonly surface: Surface;
  readonly scale: readonly [number, number, number];
  /** Shift along the drawable's z axis, metres. */
  readonly shift: number;
  readonly texture: Texture | null;
  /** Texture coordinates of each corner, `texture.kind` "2d": (C, 2), "cube": (C, 3); null without texture. */
  readonly coordinates: Float32Array | null;
  /** This frame's map from the surface's to the world frame, row-major (3, 4). */
  readonly world: Float64Array;
  /** Depth of its middle, metres, in the view that is being drawn. */
  depth: number;
}

/** A geom or site of the model: what stays for the model's life, then what each frame updates. */
export class Drawable {
  readonly source: "geom" | "site";
  readonly id: number;
  /** Its body is part of the world: no state moves it. */
  readonly fixed: boolean;
  readonly type: number;
  readonly size: readonly [number, number, number];
  /** Radius about the origin that holds it all, metres; 0 for planes. */
  readonly radius: number;
  readonly emission: number;
  readonly specular: number;
  readonly shininess: number;
  readonly reflectance: number;
  /** Colour of its material, null without one. */
  readonly materialRgba: readonly number[] | null;
  /** Planes: along an infinite axis it follows the camera in multiples of twice this length, metres; else 0. */
  readonly gridSteps: readonly [number, number];
  readonly parts: Part[] = [];

  /** Rotation, row-major, this frame. */
  readonly rotation = new Float64Array(9);
  /** Position in the world, metres, this frame. */
  readonly position = new Float64Array(3);
  /** Colour and opacity, this frame; it is drawn when opacity is above 0. */
  readonly rgba = new Float64Array(4);
  /** The camera is on the side its z axis points away from, this frame. */
  behind = false;
  /** It is blended after the opaque ones, this frame. */
  transparent = false;
  /** Distance that orders transparent ones, metres, this frame. */
  distance = 0;

  constructor(fields: {
    source: "geom" | "site";
    id: number;
    fixed: boolean;
    type: number;
    size: readonly [number, number, number];
    radius: number;
    emission: number;
    specular: number;
    shininess: number;
    reflectance: number;
    materialRgba: readonly number[] | null;
    gridSteps: readonly [number, number];
  }) {
    this.source = fields.source;
    this.id = fields.id;
    this.fixed = fields.fixed;
    this.type = fields.type;
    this.size = fields.size;
    this.radius = fields.radius;
    this.emission = fields.emission;
    this.specular = fields.specular;
    this.shininess = fields.shininess;
    this.reflectance = fields.reflectance;
    this.materialRgba = fields.materialRgba;
    this.gridSteps = fields.gridSteps;
  }
}
