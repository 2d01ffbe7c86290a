import type { View } from "./camera.ts";
import { CLUSTER } from "./clusters.ts";
import { Culler } from "./culling.ts";
import type { Part } from "./drawable.ts";
import type { Fragments } from "./fragments.ts";
import type { Kernels } from "./kernels/kernels.ts";
import { holdsTable } from "./kernels/raster.ts";
import { FRAME, POINT_BYTES } from "./layout.ts";
import type { RenderMemory } from "./memory.ts";
import { Occlusion } from "./occlusion.ts";
import type { Rectangle, SampleBuffer } from "./samples.ts";
import { TriangleLog } from "./triangle-log.ts";

/** Points of a cluster at most. */
const CLUSTER_POINTS = 3 * CLUSTER;

/**
 * Finds which triangle each sample sees: cluster by cluster, of those that may be seen (kernels/raster.ts does the
 * rest).
 */
export class Rasterizer {
  readonly log: TriangleLog;
  readonly #view: View;
  readonly #memory: RenderMemory;
  readonly #kernels: Kernels;
  readonly #points: number;
  readonly #holds: number;
  readonly #fragments: Fragments;
  readonly #culler = new Culler();
  readonly #occlusion: Occlusion;
  /** What may be drawn. */
  rectangle: Rectangle;

  constructor(view: View, memory: RenderMemory, kernels: Kernels, fragments: Fragments) {
    this.#view = view;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#fragments = fragments;
    this.log = new TriangleLog(memory);
    this.#points = memory.bytes(POINT_BYTES * CLUSTER_POINTS).byteOffset;
    this.#holds = memory.copy(holdsTable()).byteOffset;
    this.#occlusion = new Occlusion(view, memory);
    this.rectangle = { left: 0, right: view.width - 1, bottom: 0, top: view.height - 1 };
  }

  /**
   * Begins another picture, on a target that holds other things now. Its samples must not refer to logged triangles.
   */
  begin(): void {
    this.log.count = 0;
    this.#occlusion.begin();
  }

  /** What the last `drawBlended` collected: the number of a sample, then that of its triangle in the log. */
  get fragments(): Int32Array {
    return this.#fragments.list;
  }

  get fragmentCount(): number {
    return this.#memory.frame.ints[FRAME.fragmentCount / 4];
  }

  /** Is any of the part's bounding sphere in the rectangle that may be drawn? */
  sees(part: Part): boolean {
    const { bound } = part.surface;
    const { world: w, scale } = part;
    const { left, right, bottom, top } = this.rectangle;
    const x = bound[0];
    const y = bound[1];
    const z = bound[2];
    return this.#view.sees(
      w[0] * x + w[1] * y + w[2] * z + w[3],
      w[4] * x + w[5] * y + w[6] * z + w[7],
      w[8] * x + w[9] * y + w[10] * z + w[11],
      bound[3] * Math.max(scale[0], scale[1], scale[2]),
      left,
      right + 1,
      bottom,
      top + 1,
    );
  }

  /** Depth of the middle of the part, metres. */
  depthOf({ surface: { bound }, world: w }: Part): number {
    const { eye, forward } = this.#view;
    let depth = 0;
    for (let k = 0; k < 3; k++) {
      const at = w[4 * k] * bound[0] + w[4 * k + 1] * bound[1] + w[4 * k + 2] * bound[2] + w[4 * k + 3];
      depth += forward[k] * (at - eye[k]);
    }
    return depth;
  }

  /**
   * Draws the front-facing triangles of a part. `turned` swaps front and back. Where `behind` is given, only what is
   * farther than it (1/depth per sample) is drawn.
   */
  drawOpaque(part: Part, turned: boolean, target: SampleBuffer, behind: Float32Array | null): void {
    this.#draw(part, turned, target, behind, false);
  }

  /** Collects `fragments` of a part that pass the depth test, triangle by triangle, leaving the target as it is. */
  drawBlended(part: Part, turned: boolean, target: SampleBuffer, behind: Float32Array | null): void {
    this.#fragments.begin();
    this.#draw(part, turned, target, behind, true);
    this.#sortFragments();
  }

  #draw(
    part: Part,
    turned: boolean,
    target: SampleBuffer,
    behind: Float32Array | null,
    blended: boolean,
  ): void {
    const { log } = this;
    const { clusters } = part.surface;
    const { left, right, bottom, top } = this.rectangle;
    this.#culler.aim(part, this.#view, left, right + 1, bottom, top + 1);
    this.#aim(part);
    const { ints, doubles } = this.#memory.frame;
    doubles[FRAME.least / 8] = 4 * left;
    doubles[FRAME.least / 8 + 1] = 4 * bottom;
    doubles[FRAME.most / 8] = 4 * right + 3;
    doubles[FRAME.most / 8 + 1] = 4 * top + 3;
    doubles[FRAME.turn / 8] = turned === this.#view.mirrored ? -1 : 1;
    ints[FRAME.part / 4] = part.index;
    ints[FRAME.behind / 4] = behind === null ? 0 : behind.byteOffset;
    ints[FRAME.blended / 4] = blended ? 1 : 0;
    ints[FRAME.stale / 4] = this.#occlusion.stale.byteOffset;
    ints[FRAME.tilesAcross / 4] = this.#occlusion.across;
    ints[FRAME.points / 4] = this.#points;
    ints[FRAME.holds / 4] = this.#holds;
    const { points, corners, triangles, firstPoint } = clusters;
    for (let c = 0; c < clusters.count; c++) {
      if (this.#culler.isOutside(clusters, c)) continue;
      if (!turned && this.#culler.isTurnedAway(clusters, c)) continue;
      if (this.#occlusion.hides(clusters, c, doubles, this.rectangle, target.depth)) continue;
      log.reserve(CLUSTER);
      ints[FRAME.log / 4] = log.doubles.byteOffset;
      const place = CLUSTER * c;
      log.count = this.#kernels.drawCluster(
        points.byteOffset + 12 * firstPoint[c],
        firstPoint[c + 1] - firstPoint[c],
        corners.byteOffset + 3 * place,
        triangles.byteOffset + 4 * place,
        place,
        Math.min(CLUSTER, triangles.length - place),
        log.count,
      );
    }
  }

  /** Sets up the map from a part's frame to the picture: of points here, of boxes for the occlusion test. */
  #aim(part: Part): void {
    const { eye, right, up, forward, scaleX, scaleY } = this.#view;
    const { doubles } = this.#memory.frame;
    const w = part.world;
    const columns = FRAME.columns / 8;
    const depths = FRAME.depthRow / 8;
    for (let k = 0; k < 4; k++) {
      const x = k < 3 ? w[k] : w[3] - eye[0];
      const y = k < 3 ? w[4 + k] : w[7] - eye[1];
      const z = k < 3 ? w[8 + k] : w[11] - eye[2];
      doubles[columns + 2 * k] = scaleX * (right[0] * x + right[1] * y + right[2] * z);
      doubles[columns + 2 * k + 1] = scaleY * (up[0] * x + up[1] * y + up[2] * z);
      doubles[depths + k] = forward[0] * x + forward[1] * y + forward[2] * z;
    }
  }

  /** Puts the fragments in the order of their triangles in the surface: what is blended depends on it. */
  #sortFragments(): void {
    const { fragments, fragmentCount: count, log } = this;
    const keys = Float64Array.from(
      { length: count },
      (_, i) => count * log.numberOf(fragments[2 * i + 1]) + i,
    );
    const sorted = new Int32Array(2 * count);
    keys.sort().forEach((key, i) => {
      sorted[2 * i] = fragments[2 * (key % count)];
      sorted[2 * i + 1] = fragments[2 * (key % count) + 1];
    });
    fragments.set(sorted);
  }
}
