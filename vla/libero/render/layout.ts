/*
 * Where things lie in a renderer's memory, in bytes: what TypeScript writes and the kernels (kernels/) read, or the
 * other way round. All numbers are float64 and all addresses and counts int32, unless something else is said.
 */

/** What a pass draws with, at fixed addresses. */
export const FRAME = {
  /** The view: axes of the camera, then `View.scaleX` to `shiftY`. */
  eye: 0,
  right: 24,
  up: 48,
  forward: 72,
  scale: 96,
  shift: 112,
  /** 1/depth at the near and the far plane. */
  nearest: 128,
  farthest: 136,
  /** Pixels in a row. */
  width: 144,
  /** Arrays of `SampleBuffer`, and colours of its samples. */
  depth: 148,
  shown: 152,
  touched: 156,
  samples: 160,
  /** The first record of the triangle log. */
  log: 164,
  /** `Lights.table` and how many there are. */
  lights: 168,
  lightCount: 172,
  /** The block of part 0. */
  parts: 176,
  /** Stamp of corners that this pass has lit. */
  stamp: 180,
  /** Red, green and blue of what was shaded last, before rounding; a colour from a texture. */
  color: 192,
  texel: 224,
  /**
   * From the part's frame to pixels: what x, y, z and 1 add to the scaled camera axes, (4, 2); to the depth, (4). Then
   * the shifts are added.
   */
  columns: 256,
  depthRow: 320,
  /** The first and the last column and row of samples that may be drawn, four of each to a pixel. */
  least: 352,
  most: 368,
  /** 1 for front faces that turn clockwise, -1 for others. */
  turn: 384,
  /** The part that is drawn. */
  part: 392,
  /** Where not 0: only what is farther than this 1/depth per sample is drawn. */
  behind: 396,
  /** 1 where what is drawn is collected as fragments instead: a list, how many there are and may be. */
  blended: 400,
  fragments: 404,
  fragmentCount: 408,
  fragmentLimit: 412,
  /** A byte per tile, 1 where something was drawn; tiles per row. */
  stale: 416,
  tilesAcross: 420,
  /** Projected points of a cluster. */
  points: 424,
  /** Table of `holdsSample`: see kernels/raster.ts. */
  holds: 428,
} as const;
export const FRAME_BYTES = 432;

/** A projected point: its pixel coordinates, then 1/depth. */
export const POINT = { pixel: 0, inverse: 16 } as const;
export const POINT_BYTES = 32;

/** A fragment: the number of a sample, then that of a triangle in the log. */
export const FRAGMENT_BYTES = 8;

/** A light. */
export const LIGHT = {
  /** 1 for light of one direction, 0 for a spot. */
  isDirectional: 0,
  position: 8,
  /** Unit vector the light shines along. */
  direction: 32,
  ambient: 56,
  diffuse: 80,
  specular: 104,
  /** Constant, linear and quadratic. */
  attenuation: 128,
  /** Cosine of the cutoff angle; -2 where there is no cone. */
  cosCutoff: 152,
  exponent: 160,
} as const;
export const LIGHT_BYTES = 168;

/** A part of the scene. */
export const PART = {
  /** The map to the world, (3, 4). */
  world: 0,
  /** Rotation of its owner, (3, 3). */
  rotation: 96,
  /** Scale of its surface along each axis. */
  scale: 168,
  /** Of the material: colour, what of it shines by itself, strength of the highlight and its exponent. */
  color: 192,
  glow: 216,
  specular: 224,
  exponent: 232,
  /** `Surface.corners` and `Surface.triangleCorners`. */
  corners: 240,
  triangleCorners: 244,
  /** Lit corners of the part. */
  lit: 248,
  /** Its texture, 0 for none; its texture coordinates, and the bytes of each: 8 for a 2D texture, 12 for a cube. */
  texture: 252,
  coordinates: 256,
  coordinateBytes: 260,
} as const;
export const PART_BYTES = 272;

/** A lit corner: red, green and blue in [0, 1] as float32, and the stamp of the pass it was lit in. */
export const LIT_STAMP = 12;
export const LIT_BYTES = 16;

/** A logged triangle. */
export const TRIANGLE = {
  /** Its edge functions: a, b and c of corners 0 and 1, side by side, then a, b and c of corner 2. */
  pairs: 0,
  last: 48,
  /** Index of its part, its place in the surface's clusters, and its number in the surface. */
  part: 72,
  place: 76,
  number: 80,
  /** Colour and texture coordinate of each corner, float32, (3, 3): what shading needs lies together. */
  colors: 96,
  coordinates: 132,
} as const;
export const TRIANGLE_BYTES = 176;

/** A texture. */
export const TEXTURE = {
  /** 1 for a cube, 0 for a 2D texture. */
  isCube: 0,
  /** What each stored byte means, in [0, 1]. */
  decode: 4,
  /** The pyramid of each face: six of a cube, one of a 2D texture. */
  faces: 8,
} as const;
export const TEXTURE_BYTES = 32;

/** A picture with its mipmaps: how many levels there are, its number, then the levels. */
export const PYRAMID = { count: 0, number: 4, levels: 16 } as const;
/** A level: its texels (RGB bytes, 0 as long as they are not made) and its size, which float64 holds. */
export const LEVEL = { texels: 0, width: 8, height: 16 } as const;
export const LEVEL_BYTES = 32;
