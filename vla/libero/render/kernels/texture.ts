import {
  type Callable,
  double,
  F32,
  F32x4,
  F64,
  F64x2,
  type Func,
  I8x16,
  I32,
  I32x4,
  int,
  type Library,
  type Local,
  load,
  loadByte,
  loadOne,
  Nothing,
} from "../../../../core/index.ts";
import { FRAME, LEVEL, LEVEL_BYTES, PYRAMID, TEXTURE } from "../layout.ts";

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
  const trilinear = defineTrilinear(library, defineLog2(library), makeLevel);

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

/** log₂ x of a normal x > 0, to 12 digits; of powers of two exactly. */
function defineLog2(library: Library): Callable<[typeof F64], F64> {
  return library.define("log2", [F64], F64, (f, x) => {
    // x = m 2ᵉ with m in [√½, √2); log m = 2 artanh s with s = (m - 1) / (m + 1), |s| ≤ 0.172.
    const bits = f.let(x.splat().as(I32x4));
    const exponent = f.let(bits.lane(1).shr(20).sub(1023));
    const fraction = bits.and(I32x4.of(-1, 0xfffff, -1, 0xfffff)).or(I32x4.of(0, 1023 << 20, 0, 1023 << 20));
    const m = f.let(fraction.as(F64x2).lane(0));
    f.if(m.gt(Math.SQRT2), () => {
      f.set(m, m.mul(0.5));
      f.bump(exponent, 1);
    });
    const s = f.let(m.sub(1).div(m.add(1)));
    const z = f.let(s.mul(s));
    const series = [15, 13, 11, 9, 7, 5, 3].reduce((sum, n) => sum.mul(z).add(1 / n), double(1 / 17));
    return exponent.toF64().add(s.mul(2 / Math.LN2).mul(series.mul(z).add(1)));
  });
}

type Trilinear = Callable<readonly [typeof I32, typeof I32, typeof I32, ...typeof SPOT], Nothing>;

/** The weighted mean of one linear lookup or, between two levels of detail, of two. */
function defineTrilinear(
  library: Library,
  log2: Callable<[typeof F64], F64>,
  makeLevel: Callable<[typeof I32, typeof I32], I32>,
): Trilinear {
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
      const [detail, share] = f.locals(F64, 2);
      f.if(span.gt(1), () => {
        const coarsest = load(I32, pyramid, PYRAMID.count).sub(1).toF64().splat();
        f.set(detail, log2(span).mul(0.5).splat().pmin(coarsest).lane(0));
      });
      const finer = f.let(detail.toI32());
      f.set(share, detail.sub(finer.toF64()));

      const [redGreen, blue] = f.locals(F64x2, 2);
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
        const [tx, ty] = [f.let(t.shuffle(t, [0, 1, 0, 1])), f.let(t.swapped().shuffle(t, [0, 1, 0, 1]))];
        const [ux, uy] = [
          f.let(rest.shuffle(rest, [0, 1, 0, 1])),
          f.let(rest.swapped().shuffle(rest, [0, 1, 0, 1])),
        ];
        const corners = [
          [y0.add(x0), ux.mul(uy)],
          [y0.add(x1), tx.mul(uy)],
          [y1.add(x0), ux.mul(ty)],
          [y1.add(x1), tx.mul(ty)],
        ] as const;
        let [rg, b]: F64x2[] = [];
        for (const [address, part] of corners) {
          const own = f.let(part.mul(weight));
          const texel = readTexel(f, f.let(address), decode);
          const [itsRg, itsB] = [
            texel.lowToF64().mul(own),
            texel.shuffle(texel, [2, 3, 2, 3]).lowToF64().mul(own),
          ];
          rg = rg ? f.let(rg.add(itsRg)) : f.let(itsRg);
          b = b ? f.let(b.add(itsB)) : f.let(itsB);
        }
        f.set(redGreen, redGreen.add(rg));
        f.set(blue, blue.add(b));
        // Once more for the next level, unless this was it or none of it counts.
        f.if(share.gt(0), () => {
          f.set(weight, share.splat());
          f.set(share, double(0));
          f.bump(level, LEVEL_BYTES);
          f.branch(again);
        });
      });
      f.store(int(0), redGreen, FRAME.texel);
      f.store(int(0), blue.lane(0), FRAME.texel + 16);
    },
  );
}

/** Red, green, blue in [0, 1], and one number of no meaning, from three bytes. */
function readTexel(f: Func, address: I32, decode: Local<I32>): Local<F32x4> {
  const texel = f.local(F32x4);
  f.if(
    decode,
    () => {
      const channel = (k: number): F32 => load(F32, decode.add(loadByte(address, k).shl(2)));
      f.set(texel, channel(0).splat().withLane(1, channel(1)).withLane(2, channel(2)));
    },
    () => {
      const bytes = loadOne(address).as(I8x16).lowToI16x8().lowToU32x4();
      f.set(texel, bytes.toF32x4().div(f.constant(255)));
    },
  );
  return texel;
}
