import type { View } from "./camera.ts";
import { BOUND_STRIDE, BOX_CENTRE, BOX_HALF, type Clusters } from "./clusters.ts";
import { FRAME } from "./layout.ts";
import type { RenderMemory } from "./memory.ts";
import { type Rectangle, SAMPLES } from "./samples.ts";
import { TILE_BITS } from "./tiles.ts";

const TILE = 1 << TILE_BITS;
const COLUMNS = FRAME.columns / 8;
const DEPTHS = FRAME.depthRow / 8;
/** Share by which a cluster must be farther than what hides it: far above what rounding does. */
const SLACK = 1e-6;

/** Tells which clusters lie behind what is drawn already, from the farthest sample of each tile of the picture. */
export class Occlusion {
  readonly #view: View;
  /** Tiles per row. */
  readonly across: number;
  /** 1 for tiles drawn to since `#farthest` was found. */
  readonly stale: Uint8Array;
  /** Least 1/depth in each tile, or what it was before more was drawn: never too near. */
  readonly #farthest: Float32Array;

  constructor(view: View, memory: RenderMemory) {
    this.#view = view;
    this.across = Math.ceil(view.width / TILE);
    const count = this.across * Math.ceil(view.height / TILE);
    this.#farthest = new Float32Array(count);
    this.stale = memory.bytes(count);
  }

  /** Begins another picture. */
  begin(): void {
    this.#farthest.fill(0);
    this.stale.fill(1);
  }

  /**
   * Is all of a cluster farther than what `depth` (1/depth per sample) holds in the rectangle? May say no to one that
   * is.
   *
   * @param map `FRAME` of layout.ts, with the map from the frame of the clusters to the picture
   */
  hides(
    { bounds }: Clusters,
    cluster: number,
    map: Float64Array,
    rectangle: Rectangle,
    depth: Float32Array,
  ): boolean {
    const at = BOUND_STRIDE * cluster;
    const x = bounds[at + BOX_CENTRE];
    const y = bounds[at + BOX_CENTRE + 1];
    const z = bounds[at + BOX_CENTRE + 2];
    const hx = bounds[at + BOX_HALF];
    const hy = bounds[at + BOX_HALF + 1];
    const hz = bounds[at + BOX_HALF + 2];
    // What lies in the box is `least` to `most` away, and so far beside the axis of the camera.
    const [r0, r1, r2] = [map[DEPTHS], map[DEPTHS + 1], map[DEPTHS + 2]];
    const away = r0 * x + r1 * y + r2 * z + map[DEPTHS + 3];
    const reach = Math.abs(r0) * hx + Math.abs(r1) * hy + Math.abs(r2) * hz;
    const least = away - reach;
    const most = away + reach;
    if (!(least >= this.#view.near)) return false;
    const [x0, x1, x2] = [map[COLUMNS], map[COLUMNS + 2], map[COLUMNS + 4]];
    const [y0, y1, y2] = [map[COLUMNS + 1], map[COLUMNS + 3], map[COLUMNS + 5]];
    const across = x0 * x + x1 * y + x2 * z + map[COLUMNS + 6];
    const along = y0 * x + y1 * y + y2 * z + map[COLUMNS + 7];
    const reachX = Math.abs(x0) * hx + Math.abs(x1) * hy + Math.abs(x2) * hz;
    const reachY = Math.abs(y0) * hx + Math.abs(y1) * hy + Math.abs(y2) * hz;
    const [left, right, bottom, top] = [across - reachX, across + reachX, along - reachY, along + reachY];
    const { shiftX, shiftY } = this.#view;
    const lowX = left / (left < 0 ? least : most) + shiftX;
    const highX = right / (right > 0 ? least : most) + shiftX;
    const lowY = bottom / (bottom < 0 ? least : most) + shiftY;
    const highY = top / (top > 0 ? least : most) + shiftY;
    const nearest = (1 + SLACK) / least;
    const firstX = Math.max(rectangle.left, Math.floor(lowX - SLACK)) >> TILE_BITS;
    const lastX = Math.min(rectangle.right, Math.floor(highX + SLACK)) >> TILE_BITS;
    const firstY = Math.max(rectangle.bottom, Math.floor(lowY - SLACK)) >> TILE_BITS;
    const lastY = Math.min(rectangle.top, Math.floor(highY + SLACK)) >> TILE_BITS;
    for (let y = firstY; y <= lastY; y++) {
      for (let x = firstX; x <= lastX; x++) {
        const tile = y * this.across + x;
        if (this.#farthest[tile] > nearest) continue;
        if (this.stale[tile] === 0 || !this.#find(x, y, depth, nearest)) return false;
      }
    }
    return true;
  }

  /** Finds the farthest sample of a tile; false, and left as it is, where one is no nearer than `nearest`. */
  #find(tileX: number, tileY: number, depth: Float32Array, nearest: number): boolean {
    const { width, height } = this.#view;
    const first = SAMPLES * TILE * tileX;
    const end = SAMPLES * Math.min(width, TILE * (tileX + 1));
    const top = Math.min(height, TILE * (tileY + 1));
    let least = Infinity;
    for (let y = TILE * tileY; y < top; y++) {
      const row = SAMPLES * width * y;
      for (let s = row + first; s < row + end; s++) {
        if (depth[s] >= least) continue;
        least = depth[s];
        if (least <= nearest) return false;
      }
    }
    const tile = tileY * this.across + tileX;
    this.#farthest[tile] = least;
    this.stale[tile] = 0;
    return true;
  }
}
