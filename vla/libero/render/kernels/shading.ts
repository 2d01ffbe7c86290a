import {
  type Callable,
  double,
  F32,
  F64x2,
  I8x16,
  I32,
  I32x4,
  int,
  type Library,
  load,
  loadByte,
  loadOne,
  loadTwo,
  Nothing,
} from "../../../../core/index.ts";
import { FRAME, PART, PART_BYTES, TEXTURE, TRIANGLE, TRIANGLE_BYTES } from "../layout.ts";
import { SAMPLES } from "../samples.ts";
import { NOTHING } from "../triangle-log.ts";
import { readEdges } from "./edges.ts";
import { frame, frameNumber } from "./frame.ts";
import type { PartOf } from "./raster.ts";
import type { Lookups } from "./texture.ts";

/**
 * Colour of a logged triangle or the sky at a pixel's centre. Corner colours are interpolated perspective-correctly
 * (outside of the triangle they extrapolate and are clamped, as centre-sampled OpenGL does), then times the texture.
 *
 * - `reflect(left, right, bottom, top, first, end, reflected)` adds the colours at `reflected` to those of samples in a
 *   rectangle that show the parts `first` to `end` - 1;
 * - `resolve(pixels, count)` writes touched ones of the first `count` pixels as the mean of their samples, rounded;
 * - `triangle(number, x, y)` leaves the colour of a logged triangle at `FRAME.color`;
 * - `shade(left, right, bottom, top, sky)` colours the samples of touched pixels in a rectangle, ends included. What
 *   several samples of a pixel show is shaded once. `sky` is the texture behind everything, 0 for black.
 */
export function defineShading(library: Library, lookups: Lookups, partOf: PartOf): void {
  defineResolve(library);
  defineReflect(library, partOf);
  const triangle = defineTriangle(library, lookups);
  const sky = defineSky(library, lookups);

  /** What a sample shows at a pixel, as its bytes red, green, blue, 0. */
  const color = library.define("color", [I32, I32, I32, I32], I32, (f, shown, behind, x, y) => {
    f.if(
      shown.ltSigned(0),
      () => {
        f.if(behind.eq(0), () => f.return(int(0)));
        f.do(sky(behind, x, y));
      },
      () => f.do(triangle(shown, x, y)),
    );
    const most = f.let(F64x2.splat(255));
    const bytes = (channels: F64x2): I32x4 => channels.mul(most).nearest().pmin(most).toI32x4();
    const redGreen = f.let(bytes(load(F64x2, int(0), FRAME.color)));
    const blue = bytes(frameNumber(FRAME.color + 16).splat()).lane(0);
    return redGreen.lane(0).or(redGreen.lane(1).shl(8)).or(blue.shl(16));
  });

  library.define("shade", [I32, I32, I32, I32, I32], Nothing, (f, left, right, bottom, top, behind) => {
    const [x, y, pixel] = f.locals(I32, 3);
    const [width, touched] = [f.let(frame(FRAME.width)), f.let(frame(FRAME.touched))];
    const [endX, endY] = [f.let(right.add(1)), f.let(top.add(1))];
    f.range(y, bottom, endY, 1, () => {
      f.set(pixel, y.mul(width).add(left));
      f.range(x, left, endX, 1, () => {
        f.if(loadByte(touched.add(pixel)), () => {
          const offset = f.let(pixel.mul(4 * SAMPLES));
          const [shown, out] = [FRAME.shown, FRAME.samples].map((at) => f.let(frame(at).add(offset)));
          const all = f.let(load(I32x4, shown));
          const first = f.let(all.lane(0));
          f.if(
            all.eq(first.splat()).all(),
            () => f.if(first.gtSigned(NOTHING - 1), () => f.store(out, color(first, behind, x, y).splat())),
            () => {
              for (let s = 0; s < SAMPLES; s++) {
                f.block((done) => {
                  const own = f.let(all.lane(s));
                  f.branchIf(own.ltSigned(NOTHING), done); // its colour is known
                  for (let twin = 0; twin < s; twin++) {
                    f.if(all.lane(twin).eq(own), () => {
                      f.store(out, load(I32, out, 4 * twin), 4 * s);
                      f.branch(done);
                    });
                  }
                  f.store(out, color(own, behind, x, y), 4 * s);
                });
              }
            },
          );
        });
        f.bump(pixel, 1);
      });
    });
  });
}

function defineResolve(library: Library): void {
  library.define("resolve", [I32, I32], Nothing, (f, pixels, count) => {
    const touched = f.let(frame(FRAME.touched));
    const colors = f.let(frame(FRAME.samples));
    const end = f.let(touched.add(count));
    f.range(touched, touched, end, 1, () => {
      f.if(loadByte(touched), () => {
        const four = f.let(load(I32x4, colors).as(I8x16));
        const two = f.let(four.lowToI16x8().add(four.highToI16x8()));
        const sum = f.let(two.lowToU32x4().add(two.highToU32x4()));
        const mean = f.let(sum.add(f.constantInt(SAMPLES / 2)).shr(Math.log2(SAMPLES)));
        for (let k = 0; k < 3; k++) f.storeByte(pixels, mean.lane(k), k);
      });
      f.bump(pixels, 3);
      f.bump(colors, 4 * SAMPLES);
    });
  });
}

function defineReflect(library: Library, partOf: PartOf): void {
  const seven = [I32, I32, I32, I32, I32, I32, I32] as const;
  library.define("reflect", seven, Nothing, (f, left, right, bottom, top, first, end, reflected) => {
    const [x, y] = f.locals(I32, 2);
    const [shown, colors, touched, width] = [FRAME.shown, FRAME.samples, FRAME.touched, FRAME.width].map(
      (at) => f.let(frame(at)),
    );
    const count = f.let(end.sub(first));
    const [endX, endY] = [f.let(right.add(1)), f.let(top.add(1))];
    f.range(y, bottom, endY, 1, () =>
      f.range(x, left, endX, 1, () => {
        const pixel = f.let(y.mul(width).add(x));
        const offset = f.let(pixel.mul(4 * SAMPLES));
        for (let s = 0; s < SAMPLES; s++) {
          f.if(
            partOf(load(I32, shown.add(offset), 4 * s))
              .sub(first)
              .lt(count),
            () => {
              f.storeByte(touched.add(pixel), int(1));
              const [own, other] = [colors, reflected].map((from) =>
                loadOne(from.add(offset), 4 * s).as(I8x16),
              );
              f.storeLane(colors.add(offset), own.addSaturated(other), 0, 4 * s);
            },
          );
        }
      }),
    );
  });
}

function defineTriangle(
  library: Library,
  { flat, cube }: Lookups,
): Callable<[typeof I32, typeof I32, typeof I32], Nothing> {
  return library.define("triangle", [I32, I32, I32], Nothing, (f, number, x, y) => {
    const record = f.let(frame(FRAME.log).add(number.mul(TRIANGLE_BYTES)));
    const [a, b, c] = readEdges(f, record);
    const [px, py] = [x, y].map((at) => f.let(at.toF64().add(0.5)));
    const pair = f.let(a.pair.mul(px.splat()).add(b.pair.mul(py.splat())).add(c.pair));
    const last = f.let(a.last.mul(px).add(b.last.mul(py)).add(c.last));
    const depth = f.let(double(1).div(pair.lane(0).add(pair.lane(1)).add(last)));
    f.set(pair, pair.mul(depth.splat()));
    const weights = [pair.lane(0), pair.lane(1), last.mul(depth)].map((weight) => f.let(weight.splat()));

    const part = f.let(frame(FRAME.parts).add(load(I32, record, TRIANGLE.part).mul(PART_BYTES)));
    /** The first two of three numbers that each corner has, and the last one. */
    const pairs = (at: number): F64x2[] =>
      [0, 1, 2].map((k) => f.let(loadTwo(record, at + 12 * k).lowToF64()));
    const singles = (at: number): F64x2[] =>
      [0, 1, 2].map((k) =>
        f.let(
          load(F32, record, at + 12 * k + 8)
            .toF64()
            .splat(),
        ),
      );
    /** Σ over the three corners. */
    const mean = (factors: readonly F64x2[], of: readonly F64x2[]): F64x2 =>
      factors[0].mul(of[0]).add(factors[1].mul(of[1])).add(factors[2].mul(of[2]));
    const [zero, one] = [f.let(F64x2.splat(0)), f.let(F64x2.splat(1))];
    const clamped = (of: readonly F64x2[]): F64x2 => one.pmin(zero.pmax(mean(weights, of)));
    const redGreen = f.let(clamped(pairs(TRIANGLE.colors)));
    const blue = f.let(clamped(singles(TRIANGLE.colors)));

    const texture = f.let(load(I32, part, PART.texture));
    f.if(texture, () => {
      /*
       * A coordinate t = Σ eᵢ tᵢ / Σ eᵢ, so along screen x its derivative is (Σ aᵢ tᵢ - t Σ aᵢ) · depth, along y with
       * bᵢ.
       */
      const slopes = [a, b].map(({ pair, last }) => {
        const three = [pair.lane(0), pair.lane(1), last];
        return {
          factors: three.map((e) => f.let(e.splat())),
          sum: three[0].add(three[1]).add(three[2]).splat(),
        };
      });
      const place = (of: readonly F64x2[]) => {
        const at = f.let(mean(weights, of));
        const along = slopes.map(({ factors, sum }) =>
          f.let(mean(factors, of).sub(at.mul(sum)).mul(depth.splat())),
        );
        return [at, along[0], along[1]] as const;
      };
      const [uv, du, dv] = place(pairs(TRIANGLE.coordinates));
      f.if(
        load(I32, texture, TEXTURE.isCube),
        () => {
          const [z, dz, ez] = place(singles(TRIANGLE.coordinates)).map((v) => v.lane(0));
          f.do(cube(texture, uv, z, du, dz, dv, ez));
        },
        () => f.do(flat(texture, uv, du, dv)),
      );
      f.set(redGreen, redGreen.mul(load(F64x2, int(0), FRAME.texel)));
      f.set(blue, blue.mul(frameNumber(FRAME.texel + 16).splat()));
    });
    f.store(int(0), redGreen, FRAME.color);
    f.store(int(0), blue.lane(0), FRAME.color + 16);
  });
}

/** Colour of the skybox behind a pixel; its cube is turned so that its y axis is the world's z. */
function defineSky(
  library: Library,
  { cube }: Lookups,
): Callable<[typeof I32, typeof I32, typeof I32], Nothing> {
  return library.define("sky", [I32, I32, I32], Nothing, (f, texture, x, y) => {
    /** An axis of the camera in the cube's frame: (x, y), z. */
    const axis = (at: number) => ({
      pair: f.let(
        frameNumber(at)
          .splat()
          .withLane(1, frameNumber(at + 16)),
      ),
      last: f.let(frameNumber(at + 8)),
    });
    const [right, up, forward] = [FRAME.right, FRAME.up, FRAME.forward].map(axis);
    const [scaleX, scaleY] = [FRAME.scale, FRAME.scale + 8].map((at) => f.let(frameNumber(at)));
    const across = f.let(x.toF64().add(0.5).sub(frameNumber(FRAME.shift)).div(scaleX));
    const along = f.let(
      y
        .toF64()
        .add(0.5)
        .sub(frameNumber(FRAME.shift + 8))
        .div(scaleY),
    );
    const pair = forward.pair.add(across.splat().mul(right.pair)).add(along.splat().mul(up.pair));
    const last = forward.last.add(across.mul(right.last)).add(along.mul(up.last)).neg();
    f.do(
      cube(
        texture,
        pair,
        last,
        right.pair.div(scaleX.splat()),
        right.last.neg().div(scaleX),
        up.pair.div(scaleY.splat()),
        up.last.neg().div(scaleY),
      ),
    );
    f.store(int(0), load(F64x2, int(0), FRAME.texel), FRAME.color);
    f.store(int(0), frameNumber(FRAME.texel + 16), FRAME.color + 16);
  });
}
