import type { View } from "./camera.ts";
import { BOUND_STRIDE, BOX_CENTRE, BOX_HALF, type Clusters } from "./clusters.ts";
import { type Rectangle, SAMPLES } from "./samples.ts";

/** Side of a tile, pixels: 2 ^ TILE_BITS. */
const TILE_BITS = 3;
const TILE = 1 << TILE_BITS;
/** Share by which a cluster must be farther than what hides it: far above what rounding does. */
const SLACK = 1e-6;

/** Tells which clusters lie behind what is drawn already, from the farthest sample of each tile of the picture. */
export class Occlusion {
  readonly #view: View;
  /** Tiles per row. */
  readonly #across: number;
  /** Least 1/depth in each tile, or what it was before more was drawn: never too near. */
  readonly #farthest: Float32Array;
  /** 1 for tiles drawn to since `#farthest` was found. */
  readonly #stale: Uint8Array;

  constructor(view: View) {
    this.#view = view;
    this.#across = Math.ceil(view.width / TILE);
    const count = this.#across * Math.ceil(view.height / TILE);
    this.#farthest = new Float32Array(count);
    this.#stale = new Uint8Array(count);
  }

  /** Begins another picture. */
  begin(): void {
    this.#farthest.fill(0);
    this.#stale.fill(1);
  }

  /** Takes note that something was drawn on these pixels. */
  note(left: number, right: number, bottom: number, top: number): void {
    for (let y = bottom >> TILE_BITS; y <= top >> TILE_BITS; y++) {
      for (let x = left >> TILE_BITS; x <= right >> TILE_BITS; x++) this.#stale[y * this.#across + x] = 1;
    }
  }

  /**
   * Is all of a cluster farther than what `depth` (1/depth per sample) holds in the rectangle? May say no to one that is.
   *
   * @param map from the frame of the clusters to scaled camera axes, (3, 4), and the shifts of the picture
   */
  hides(
    { bounds }: Clusters,
    cluster: number,
    map: Float64Array,
    rectangle: Rectangle,
    depth: Float32Array,
  ): boolean {
    const at = BOUND_STRIDE * cluster;
    let least = Infinity;
    let lowX = Infinity;
    let highX = -Infinity;
    let lowY = Infinity;
    let highY = -Infinity;
    for (let corner = 0; corner < 8; corner++) {
      const x = bounds[at + BOX_CENTRE] + ((corner & 1) === 0 ? -1 : 1) * bounds[at + BOX_HALF];
      const y = bounds[at + BOX_CENTRE + 1] + ((corner & 2) === 0 ? -1 : 1) * bounds[at + BOX_HALF + 1];
      const z = bounds[at + BOX_CENTRE + 2] + ((corner & 4) === 0 ? -1 : 1) * bounds[at + BOX_HALF + 2];
      const away = map[8] * x + map[9] * y + map[10] * z + map[11];
      if (!(away >= this.#view.near)) return false;
      const screenX = (map[0] * x + map[1] * y + map[2] * z + map[3]) / away + map[12];
      const screenY = (map[4] * x + map[5] * y + map[6] * z + map[7]) / away + map[13];
      least = Math.min(least, away);
      lowX = Math.min(lowX, screenX);
      highX = Math.max(highX, screenX);
      lowY = Math.min(lowY, screenY);
      highY = Math.max(highY, screenY);
    }
    const nearest = (1 + SLACK) / least;
    const firstX = Math.max(rectangle.left, Math.floor(lowX - SLACK)) >> TILE_BITS;
    const lastX = Math.min(rectangle.right, Math.floor(highX + SLACK)) >> TILE_BITS;
    const firstY = Math.max(rectangle.bottom, Math.floor(lowY - SLACK)) >> TILE_BITS;
    const lastY = Math.min(rectangle.top, Math.floor(highY + SLACK)) >> TILE_BITS;
    for (let y = firstY; y <= lastY; y++) {
      for (let x = firstX; x <= lastX; x++) {
        const tile = y * this.#across + x;
        if (this.#farthest[tile] > nearest) continue;
        if (this.#stale[tile] === 0) return false;
        this.#find(x, y, depth);
        if (this.#farthest[tile] <= nearest) return false;
      }
    }
    return true;
  }

  #find(tileX: number, tileY: number, depth: Float32Array): void {
    const { width, height } = this.#view;
    const first = SAMPLES * TILE * tileX;
    const end = SAMPLES * Math.min(width, TILE * (tileX + 1));
    const top = Math.min(height, TILE * (tileY + 1));
    let least = Infinity;
    for (let y = TILE * tileY; y < top; y++) {
      const row = SAMPLES * width * y;
      for (let s = row + first; s < row + end; s++) if (depth[s] < least) least = depth[s];
    }
    const tile = tileY * this.#across + tileX;
    this.#farthest[tile] = least;
    this.#stale[tile] = 0;
  }
}
