import {
  type Callable,
  double,
  F32,
  F64,
  F64x2,
  type Func,
  I32,
  int,
  type Library,
  type Local,
  load,
  Nothing,
} from "../../../../core/index.ts";
import { FRAME, POINT, POINT_BYTES, TRIANGLE, TRIANGLE_BYTES } from "../layout.ts";
import { frame, frameNumber, framePair } from "./frame.ts";

/** Projects points to `FRAME.points`; 1 if all lie between the eye's near plane and infinity. */
export function defineProject(library: Library) {
  return library.define("project", [I32, I32], I32, (f, points, count) => {
    const columns = [0, 1, 2, 3].map((k) => f.let(framePair(FRAME.columns + 16 * k)));
    const depths = [0, 1, 2, 3].map((k) => f.let(frameNumber(FRAME.depthRow + 8 * k)));
    const shift = f.let(framePair(FRAME.shift));
    const nearest = f.let(frameNumber(FRAME.nearest));
    const out = f.let(frame(FRAME.points));
    const before = f.let(int(1));
    const end = f.let(points.add(count.mul(12)));
    f.range(points, points, end, 12, () => {
      const [x, y, z] = [0, 4, 8].map((at) => f.let(load(F32, points, at).toF64()));
      const depth = depths[0].mul(x).add(depths[1].mul(y)).add(depths[2].mul(z)).add(depths[3]);
      const inverse = f.let(double(1).div(depth));
      const [sx, sy, sz] = [x, y, z].map((k) => k.splat());
      const axes = columns[0].mul(sx).add(columns[1].mul(sy)).add(columns[2].mul(sz)).add(columns[3]);
      f.store(out, axes.mul(inverse.splat()).add(shift), POINT.pixel);
      f.store(out, inverse, POINT.inverse);
      f.set(before, before.and(inverse.gt(0)).and(inverse.le(nearest)));
      f.bump(out, POINT_BYTES);
    });
    return before;
  });
}

type SetEdges = Callable<[typeof I32, typeof I32, typeof I32, typeof I32, typeof F64], Nothing>;

/** Writes the edge functions of a triangle before the near plane behind the log's end. */
export function defineSetEdges(library: Library): SetEdges {
  return library.define("setEdges", [I32, I32, I32, I32, F64], Nothing, (f, logged, p0, p1, p2, area) => {
    const corners = [p0, p1, p2].map((p) => ({
      x: f.let(load(F64, p, POINT.pixel)),
      y: f.let(load(F64, p, POINT.pixel + 8)),
    }));
    const inverses = [p0, p1, p2].map((p) => load(F64, p, POINT.inverse));
    const pairWeights = f.let(pairOf(inverses[0], inverses[1]).div(area.splat()));
    const lastWeight = f.let(inverses[2].div(area));
    const edge = (i: number): F64[] => {
      const [next, other] = [corners[(i + 1) % 3], corners[(i + 2) % 3]];
      return [next.y.sub(other.y), other.x.sub(next.x), next.x.mul(other.y).sub(other.x.mul(next.y))];
    };
    storeEdges(f, logged, edge, {
      pair: (values) => values.mul(pairWeights),
      last: (value) => value.mul(lastWeight),
    });
  });
}

/**
 * The same for a triangle with corners on both sides of the near plane, in homogeneous coordinates: it may cover all
 * of the picture. 0 when it is turned away.
 */
export function defineSetEdgesAcrossNear(
  library: Library,
): Callable<[typeof I32, typeof I32, typeof I32, typeof I32], I32> {
  return library.define("setEdgesAcrossNear", [I32, I32, I32, I32], I32, (f, logged, p0, p1, p2) => {
    const [c0, c1, c2] = [p0, p1, p2].map((p) => {
      const z = f.let(double(1).div(load(F64, p, POINT.inverse)));
      const x = f.let(load(F64, p, POINT.pixel).mul(z));
      const y = f.let(load(F64, p, POINT.pixel + 8).mul(z));
      return { x, y, z };
    });
    const cross = (a: F64, b: F64, c: F64, d: F64): F64 => a.mul(b).sub(c.mul(d));
    const volume = f.let(
      c0.x
        .mul(cross(c1.y, c2.z, c2.y, c1.z))
        .sub(c0.y.mul(cross(c1.x, c2.z, c2.x, c1.z)))
        .add(c0.z.mul(cross(c1.x, c2.y, c2.x, c1.y))),
    );
    // Also for a point exactly at the eye (NaN).
    f.if(volume.mul(frameNumber(FRAME.turn)).lt(0).eq(0), () => f.return(int(0)));
    const corners = [c0, c1, c2];
    const edge = (i: number): F64[] => {
      const [next, other] = [corners[(i + 1) % 3], corners[(i + 2) % 3]];
      return [
        cross(next.y, other.z, next.z, other.y),
        cross(next.z, other.x, next.x, other.z),
        cross(next.x, other.y, next.y, other.x),
      ];
    };
    storeEdges(f, logged, edge, {
      pair: (values) => values.div(volume.splat()),
      last: (value) => value.div(volume),
    });
    return int(1);
  });
}

/** Two numbers as lanes. */
const pairOf = (a: F64, b: F64): F64x2 => a.splat().withLane(1, b);

/**
 * Stores a, b and c of each corner, scaled, as `TRIANGLE` has them. Pairs are stored as such: the processor is slow to
 * read as one what it has just written as two.
 */
function storeEdges(
  f: Func,
  logged: I32,
  edge: (corner: number) => readonly F64[],
  scaled: { pair(values: F64x2): F64x2; last(value: F64): F64 },
): void {
  const record = f.let(frame(FRAME.log).add(logged.mul(TRIANGLE_BYTES)));
  const [first, second, third] = [edge(0), edge(1), edge(2)];
  for (let k = 0; k < 3; k++) {
    f.store(record, scaled.pair(pairOf(first[k], second[k])), TRIANGLE.pairs + 16 * k);
    f.store(record, scaled.last(third[k]), TRIANGLE.last + 8 * k);
  }
}

/** a, b and c of the edge functions of a record. */
export function readEdges(f: Func, record: I32): { pair: Local<F64x2>; last: Local<F64> }[] {
  return [0, 1, 2].map((k) => ({
    pair: f.let(load(F64x2, record, TRIANGLE.pairs + 16 * k)),
    last: f.let(load(F64, record, TRIANGLE.last + 8 * k)),
  }));
}
