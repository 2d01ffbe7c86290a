import {
  type Callable,
  double,
  F64,
  F64x2,
  I32,
  I32x4,
  int,
  type Library,
  load,
  loadByte,
  loadHalf,
  loadTwo,
  Nothing,
} from "../../../../core/index.ts";
import { FRAME, LEVEL, LEVEL_BYTES, PYRAMID, TEXTURE } from "../layout.ts";
import { log2 } from "./powers.ts";

/** A place on a texture: u, v, then ∂u/∂x, ∂v/∂x, ∂u/∂y, ∂v/∂y per pixel, in pairs. */
const SPOT = [F64x2, F64x2, F64x2] as const;
/** A direction (x, y), z, then its derivatives along screen x and y in the same way. */
const DIRECTION = [F64x2, F64, F64x2, F64, F64x2, F64] as const;

export interface Lookups {
  /** Texture, and where: leaves the colour at `FRAME.texel`. */
  readonly flat: Callable<readonly [typeof I32, ...typeof SPOT], Nothing>;
  readonly cube: Callable<readonly [typeof I32, ...typeof DIRECTION], Nothing>;
}

/**
 * Texture lookups: linear within a level, linear between levels (OpenGL's LINEAR_MIPMAP_LINEAR), the level from the
 * derivatives of the coordinates along screen x and y. `makeLevel(pyramid, level)` gives the address of texels that are
 * not there yet.
 */
export function defineLookups(library: Library, makeLevel: Callable<[typeof I32, typeof I32], I32>): Lookups {
  const trilinear = defineTrilinear(library, makeLevel);

  const flat = library.define("flat", [I32, ...SPOT], Nothing, (f, texture, uv, ddx, ddy) => {
    const inside = uv.sub(uv.floor()); // it repeats
    const pyramid = load(I32, texture, TEXTURE.faces);
    f.do(trilinear(pyramid, int(1), load(I32, texture, TEXTURE.decode), inside, ddx, ddy));
  });

  // By OpenGL's face table; faces clamp at their edges.
  const cube = library.define("cube", [I32, ...DIRECTION], Nothing, (f, texture, xy, z, ...derivatives) => {
    const [dxy, dz, exy, ez] = derivatives;
    const [x, y] = [f.let(xy.lane(0)), f.let(xy.lane(1))];
    const [ax, ay, az] = [f.let(x.abs()), f.let(y.abs()), f.let(z.abs())];
    /** Along the major axis m the face shows s and t, signed, divided by |m|. */
    const [m, mx, my] = f.locals(F64, 3);
    const [st, stx, sty] = f.locals(F64x2, 3);
    const face = f.local(I32);
    /** The face of an axis; `pair` gives (s, t) where the axis' direction is `sign`. */
    const take = (
      first: number,
      along: readonly F64[],
      pair: (sign: F64, xy: F64x2, z: F64) => F64x2,
    ): void => {
      const positive = f.let(along[0].gt(0));
      const sign = f.let(positive.pick<F64>(double(1), double(-1)));
      f.set(face, int(first + 1).sub(positive));
      for (const [i, own] of [m, mx, my].entries()) f.set(own, along[i]);
      f.set(st, pair(sign, xy, z));
      f.set(stx, pair(sign, dxy, dz));
      f.set(sty, pair(sign, exy, ez));
    };
    const pairOf = (s: F64, t: F64): F64x2 => s.splat().withLane(1, t);
    f.if(
      ax.ge(ay).and(ax.ge(az)),
      () =>
        take(0, [x, dxy.lane(0), exy.lane(0)], (sign, xy, z) => pairOf(sign.mul(z).neg(), xy.lane(1).neg())),
      () =>
        f.if(
          ay.ge(az),
          () => take(2, [y, dxy.lane(1), exy.lane(1)], (sign, xy, z) => pairOf(xy.lane(0), sign.mul(z))),
          () => take(4, [z, dz, ez], (sign, xy) => pairOf(sign.mul(xy.lane(0)), xy.lane(1).neg())),
        ),
    );
    const major = f.let(m.abs());
    const sign = f.let(m.lt(0).pick<F64>(double(-1), double(1)));
    const place = f.let(st.div(major.splat()));
    const half = f.let(F64x2.splat(0.5));
    const scale = f.let(double(0.5).div(major).splat()); // the face spans -1..1, the texture 0..1
    const slope = (d: F64x2, dm: F64): F64x2 => d.sub(place.mul(sign.splat()).mul(dm.splat())).mul(scale);
    const pyramid = load(I32, texture.add(face.shl(2)), TEXTURE.faces);
    const decode = load(I32, texture, TEXTURE.decode);
    const at = half.mul(place).add(half);
    f.do(trilinear(pyramid, int(0), decode, at, slope(stx, mx), slope(sty, my)));
  });

  return { flat, cube };
}

type Trilinear = Callable<readonly [typeof I32, typeof I32, typeof I32, ...typeof SPOT], Nothing>;

/** The weighted mean of one linear lookup or, between two levels of detail, of two. */
function defineTrilinear(library: Library, makeLevel: Callable<[typeof I32, typeof I32], I32>): Trilinear {
  return library.define(
    "trilinear",
    [I32, I32, I32, ...SPOT],
    Nothing,
    (f, pyramid, repeats, decode, uv, ddx, ddy) => {
      const size = (level: I32): F64x2 => load(F64x2, level, LEVEL.width);
      // How many texels of the base level one pixel spans, squared.
      const [one, half] = [f.let(F64x2.splat(1)), f.let(F64x2.splat(0.5))];
      const span = f.local(F64);
      const base = f.let(size(pyramid.add(PYRAMID.levels)));
      const [ax, ay] = [f.let(ddx.mul(base)), f.let(ddy.mul(base))];
      const [sx, sy] = [ax, ay].map((a) => {
        const squares = f.let(a.mul(a));
        return squares.lane(0).add(squares.lane(1)).splat();
      });
      f.set(span, sx.pmax(sy).lane(0));
      // The finer level is known from the exponent of the span: texels are read before its logarithm is there.
      const finer = f.local(I32);
      const share = f.local(F64);
      f.if(span.gt(1), () => {
        const coarsest = f.let(load(I32, pyramid, PYRAMID.count).sub(1));
        const own = f.let(span.splat());
        const wanted = f.let(own.as(I32x4).lane(1).shr(20).sub(1023).shr(1));
        f.set(finer, wanted.min(coarsest));
        f.if(wanted.lt(coarsest), () => {
          const detail = f.let(log2(f, own).mul(half).lane(0));
          f.set(share, detail.sub(finer.toF64()));
        });
      });

      const redGreen = f.local(F64x2);
      const blue = f.local(F64);
      const weight = f.let(one.sub(share.splat()));
      const level = f.let(pyramid.add(PYRAMID.levels).add(finer.mul(LEVEL_BYTES)));
      const texels = f.local(I32);
      f.loop((again) => {
        f.set(texels, load(I32, level, LEVEL.texels));
        f.if(texels.eq(0), () => {
          const number = level.sub(pyramid).sub(PYRAMID.levels).div(LEVEL_BYTES);
          f.set(texels, makeLevel(load(I32, pyramid, PYRAMID.number), number));
        });
        const edge = f.let(size(level));
        const at = f.let(uv.mul(edge).sub(half));
        const low = f.let(at.floor());
        const t = f.let(at.sub(low));
        // The texel below, then the one above, each (column, row).
        const below = f.let(low.toI32x4());
        const above = f.let(below.add(f.constantInt(1)));
        const ends = f.let(edge.toI32x4());
        const past = f.let(ends.gt(above));
        const before = f.let(below.lt(f.constantInt(0)));
        const final = f.let(ends.add(f.constantInt(-1)));
        f.if(
          repeats,
          () => {
            f.set(below, before.select<I32x4>(final, below));
            f.set(above, above.and(past));
          },
          () => {
            f.set(below, below.andNot(before));
            f.set(above, past.select<I32x4>(above, final));
          },
        );
        const [x0, x1] = [below, above].map((p) => f.let(p.lane(0).mul(3)));
        const rowBytes = f.let(ends.lane(0).mul(3));
        const [y0, y1] = [below, above].map((p) => f.let(texels.add(p.lane(1).mul(rowBytes))));
        const rest = f.let(one.sub(t));
        const across = f.let(rest.shuffle(t, [0, 1, 4, 5]));
        const [lower, upper] = [rest, t].map((p) =>
          f.let(across.mul(p.shuffle(p, [2, 3, 2, 3])).mul(weight)),
        );
        const twoRows = [y0, y1].map((y) => [x0, x1].map((x) => f.let(y.add(x))));
        const [first, second] = twoRows.map((pair, row) => {
          const weights = row === 0 ? lower : upper;
          const color = (texel: I32, channel: number): I32 => decode.add(loadByte(texel, channel).shl(3));
          const two = (a: I32, b: I32): F64x2 => loadHalf(loadTwo(a).as(F64x2), 1, b);
          const [left, right] = pair.map((texel, k) =>
            two(color(texel, 0), color(texel, 1)).mul(
              weights.shuffle(weights, k === 0 ? [0, 1, 0, 1] : [2, 3, 2, 3]),
            ),
          );
          const blues = f.let(two(color(pair[0], 2), color(pair[1], 2)).mul(weights));
          return { left, right, blues };
        });
        f.set(redGreen, redGreen.add(first.left.add(first.right).add(second.left).add(second.right)));
        const blues = first.blues
          .lane(0)
          .add(first.blues.lane(1))
          .add(second.blues.lane(0))
          .add(second.blues.lane(1));
        f.set(blue, blue.add(blues));
        // Once more for the next level, unless this was it or none of it counts.
        f.if(share.gt(0), () => {
          f.set(weight, share.splat());
          f.set(share, double(0));
          f.bump(level, LEVEL_BYTES);
          f.branch(again);
        });
      });
      f.store(int(0), redGreen, FRAME.texel);
      f.store(int(0), blue, FRAME.texel + 16);
    },
  );
}
