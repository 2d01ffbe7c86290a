import { makeSurface, type Surface } from "./surface.ts";

/*
 * MuJoCo's tessellation of its primitive shapes, in unit size. How finely a shape is cut is part of the picture:
 * lighting is computed at the corners only. Texture coordinates are those of MuJoCo 3.12 and later
 * (earlier versions project the texture instead, see texture-coordinates.ts).
 */

/** Tessellation of a model: `visual/quality` of the MJCF. */
export interface Quality {
  readonly slices: number;
  readonly stacks: number;
  readonly quads: number;
}

type Vec3 = readonly [number, number, number];

class Builder {
  readonly #positions: number[] = [];
  readonly #normals: number[] = [];
  readonly #uvs: number[] = [];
  readonly #triangles: number[] = [];

  corner(position: Vec3, normal: Vec3, u: number, v: number): number {
    this.#positions.push(...position);
    this.#normals.push(...normal);
    this.#uvs.push(u, v);
    return this.#uvs.length / 2 - 1;
  }

  /** Corners counter-clockwise; split along the diagonal OpenGL drivers use: (a, b, d), (b, c, d). */
  quad(a: number, b: number, c: number, d: number): void {
    this.#triangles.push(a, b, d, b, c, d);
  }

  build(): Surface {
    return makeSurface(
      Float32Array.from(this.#positions),
      Float32Array.from(this.#normals),
      Float32Array.from(this.#uvs),
      Uint32Array.from(this.#triangles),
    );
  }
}

/** The cube [-1, 1]³, each face a grid of `quads` × `quads`. */
export function boxSurface(quads: number): Surface {
  const builder = new Builder();
  for (let axis = 0; axis < 3; axis++) {
    const across = axis === 0 ? 1 : 0; // in-plane axes: z → (x, y), x → (y, z), y → (x, z)
    const along = axis === 2 ? 1 : 2;
    for (const side of [1, -1]) {
      const normal: [number, number, number] = [0, 0, 0];
      normal[axis] = side;
      const at = (x: number, y: number): number => {
        const p: [number, number, number] = [0, 0, 0];
        p[axis] = side;
        p[across] = (2 * x) / quads - 1;
        p[along] = (2 * y) / quads - 1;
        return builder.corner(p, normal, x / quads, 1 - y / quads);
      };
      // Seen from outside, the grid (across, along) runs counter-clockwise on the faces +x, -y and +z only.
      const direct = axis === 1 ? side < 0 : side > 0;
      for (let x = 0; x < quads; x++) {
        for (let y = 0; y < quads; y++) {
          if (direct) builder.quad(at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1));
          else builder.quad(at(x, y + 1), at(x + 1, y + 1), at(x + 1, y), at(x, y));
        }
      }
    }
  }
  return builder.build();
}

/** The cylinder of radius 1 from z = -1 to 1. */
export function cylinderSurface(slices: number, stacks: number, caps: boolean): Surface {
  const builder = new Builder();
  const cos = (j: number): number => Math.cos((2 * Math.PI * j) / slices);
  const sin = (j: number): number => Math.sin((2 * Math.PI * j) / slices);
  const side = (j: number, h: number): number =>
    builder.corner([cos(j), sin(j), h], [cos(j), sin(j), 0], j / slices, (1 - h) / 2);
  for (let i = 0; i < stacks; i++) {
    const low = (2 * i) / stacks - 1;
    const high = (2 * (i + 1)) / stacks - 1;
    for (let j = 0; j < slices; j++) {
      builder.quad(side(j, low), side(j + 1, low), side(j + 1, high), side(j, high));
    }
  }
  const rings = stacks >> 1;
  for (const end of caps ? [-1, 1] : []) {
    const disk = (j: number, r: number): number =>
      builder.corner(
        [cos(j) * r, sin(j) * r, end],
        [0, 0, end],
        0.5 + 0.5 * cos(j) * r,
        0.5 + 0.5 * sin(j) * r,
      );
    for (let i = 0; i < rings; i++) {
      const inner = i / rings;
      const outer = (i + 1) / rings;
      for (let j = 0; j < slices; j++) {
        if (end > 0) builder.quad(disk(j, outer), disk(j + 1, outer), disk(j + 1, inner), disk(j, inner));
        else builder.quad(disk(j, inner), disk(j + 1, inner), disk(j + 1, outer), disk(j, outer));
      }
    }
  }
  return builder.build();
}

/**
 * The part of the unit sphere between two latitudes, in quarter turns: -1 is the south pole, 1 the north pole,
 * moved up by `lift`. The texture's v falls from 1 at `south` to 0 at `north`.
 */
export function sphereSurface(slices: number, stacks: number, south = -1, north = 1, lift = 0): Surface {
  const builder = new Builder();
  const at = (j: number, i: number, toMiddle: number): number => {
    const latitude = (Math.PI / 2) * (south + ((north - south) * i) / stacks);
    const angle = (2 * Math.PI * j) / slices;
    const normal: Vec3 = [
      Math.cos(angle) * Math.cos(latitude),
      Math.sin(angle) * Math.cos(latitude),
      Math.sin(latitude),
    ];
    const pole = (i === 0 && south === -1) || (i === stacks && north === 1);
    const u = (pole ? j + toMiddle : j) / slices; // at a pole, the middle of the triangle's base
    return builder.corner([normal[0], normal[1], normal[2] + lift], normal, u, 1 - i / stacks);
  };
  for (let i = 0; i < stacks; i++) {
    for (let j = 0; j < slices; j++) {
      builder.quad(at(j, i, 0.5), at(j + 1, i, -0.5), at(j + 1, i + 1, -0.5), at(j, i + 1, 0.5));
    }
  }
  return builder.build();
}

/** How many cells MuJoCo spends at most on one axis of a plane. */
const MAX_PLANE_GRID = 200;

/** One axis of a plane. */
export interface PlaneAxis {
  /** Grid lines, ascending, metres from the plane's position. */
  readonly lines: readonly number[];
  /** For an infinite axis: the plane follows the camera in multiples of twice this length; 0 for a finite axis. */
  readonly step: number;
}

/** A finite axis of half size `half`; `spacing` is the plane's third size. */
export function finiteAxis(half: number, spacing: number): PlaneAxis {
  const cell = Math.max(spacing, half / (MAX_PLANE_GRID - 2));
  let cells = Math.floor(half / cell);
  cells -= cells % 2;
  const pad = half - cells * cell;
  const lines = [-half];
  let last = -half;
  const add = (x: number): void => {
    if (x > last) lines.push((last = x));
  };
  add(-half + pad);
  for (let i = 1; i <= cells; i++) add(Math.min(half, -half + pad + 2 * i * cell));
  add(half);
  return { lines, step: 0 };
}

/** An infinite axis: a grid somewhat wider than the view reaches, following the camera in whole texture repeats. */
export function infiniteAxis(zfar: number, texrepeat: number): PlaneAxis {
  const step = texrepeat > 0 ? 2 / texrepeat : (2.1 * zfar) / (MAX_PLANE_GRID - 2);
  const cell = (2.1 * zfar + 2 * step) / MAX_PLANE_GRID;
  return {
    lines: Array.from({ length: MAX_PLANE_GRID + 1 }, (_, i) => cell * (i - MAX_PLANE_GRID / 2)),
    step,
  };
}

/** A rectangle in the plane z = 0, facing +z, cut at the grid lines. */
export function planeSurface(x: PlaneAxis, y: PlaneAxis): Surface {
  const builder = new Builder();
  /** 0 to 1 along a finite axis, half the length along an infinite one. */
  const along = (axis: PlaneAxis, value: number): number =>
    axis.step > 0
      ? 0.5 * value
      : (value - axis.lines[0]) / (axis.lines[axis.lines.length - 1] - axis.lines[0]);
  const at = (i: number, j: number): number => {
    const u = along(x, x.lines[i]);
    const v = along(y, y.lines[j]);
    return builder.corner([x.lines[i], y.lines[j], 0], [0, 0, 1], u, y.step > 0 ? -v : 1 - v);
  };
  for (let i = 0; i + 1 < x.lines.length; i++) {
    for (let j = 0; j + 1 < y.lines.length; j++) {
      builder.quad(at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1));
    }
  }
  return builder.build();
}
