import {
  F64,
  F64x2,
  type Func,
  I32,
  type I32x4,
  int,
  type Library,
  type Local,
  load,
  loadBoth,
  loadLane,
  loadOne,
  loadTwo,
  Nothing,
} from "../../../../core/index.ts";
import {
  FRAME,
  LIGHT,
  LIGHT_BYTES,
  LIT_BYTES,
  LIT_STAMP,
  PART,
  PART_BYTES,
  TRIANGLE,
  TRIANGLE_BYTES,
} from "../layout.ts";
import { CORNER_STRIDE } from "../surface.ts";
import { definePower } from "./powers.ts";

type Vector = readonly [F64x2, F64x2, F64x2];
type Power = ReturnType<typeof definePower>;
type Place = readonly [Local<F64x2>, Local<F64x2>, Local<F64x2>];

/** a · b, added from x to z. */
const dot = (a: Vector, b: Vector): F64x2 => a[0].mul(b[0]).add(a[1].mul(b[1])).add(a[2].mul(b[2]));
/** Three neighbouring numbers, each twice. */
const three = (address: I32, offset: number): Vector => [
  loadBoth(address, offset),
  loadBoth(address, offset + 8),
  loadBoth(address, offset + 16),
];
const named = (f: Func, v: Vector): Place => [f.let(v[0]), f.let(v[1]), f.let(v[2])];
/** Lanes that are not above 0 become `instead`. */
const orElse = (f: Func, x: F64x2, instead: number): F64x2 => {
  const own = f.let(x);
  return own.gt(F64x2.splat(0)).select<F64x2>(own, F64x2.splat(instead));
};

/**
 * Gouraud lighting as fixed-function OpenGL does it. For material colour m:
 *
 *   c = (emission + globalAmbient) m + Σ k (ambient m + max(N·L, 0) diffuse m + [N·L > 0] max(N·H, 0)^(128 shininess) specular)
 *
 * L points to the light, H is the unit vector half-way between L and the eye, k the light's attenuation and cone.
 * Colours are clamped to [0, 1] per corner. `light(part, from, to)` lights the corners of logged triangles `from` to
 * `to` - 1, all of this part, that the pass has not lit, two at a time, and copies what shading needs to their records.
 */
export function defineLighting(library: Library): void {
  const lightTwo = defineLightTwo(library, definePower(library));

  library.define("light", [I32, I32, I32], Nothing, (f, part, from, to) => {
    const block = f.let(load(I32, int(FRAME.parts)).add(part.mul(PART_BYTES)));
    const [corners, lit, places] = [PART.corners, PART.lit, PART.triangleCorners].map((at) =>
      f.let(load(I32, block, at)),
    );
    const stamp = f.let(load(I32, int(FRAME.stamp)));
    const log = f.let(load(I32, int(FRAME.log)));
    // A corner that waits for a second one.
    const [waits, itsCorner, itsColor] = f.locals(I32, 3);
    const [triangle, end] = [log.add(from.mul(TRIANGLE_BYTES)), log.add(to.mul(TRIANGLE_BYTES))].map((at) =>
      f.let(at),
    );
    const index = f.local(I32);
    f.range(index, triangle, end, TRIANGLE_BYTES, () => {
      const list = f.let(places.add(load(I32, index, TRIANGLE.place).mul(12)));
      for (let k = 0; k < 3; k++) {
        const number = f.let(load(I32, list, 4 * k));
        const color = f.let(lit.add(number.mul(LIT_BYTES)));
        f.if(load(I32, color, LIT_STAMP).ne(stamp), () => {
          f.store(color, stamp, LIT_STAMP);
          const corner = f.let(corners.add(number.mul(4 * CORNER_STRIDE)));
          f.if(
            waits,
            () => f.do(lightTwo(block, itsCorner, itsColor, corner, color)),
            () => {
              f.set(itsCorner, corner);
              f.set(itsColor, color);
            },
          );
          f.set(waits, int(1).sub(waits));
        });
      }
    });
    f.if(waits, () => f.do(lightTwo(block, itsCorner, itsColor, itsCorner, itsColor)));

    const [coordinates, coordinateBytes] = [PART.coordinates, PART.coordinateBytes].map((at) =>
      f.let(load(I32, block, at)),
    );
    f.range(index, triangle, end, TRIANGLE_BYTES, () => {
      const list = f.let(places.add(load(I32, index, TRIANGLE.place).mul(12)));
      for (let k = 0; k < 3; k++) {
        const number = f.let(load(I32, list, 4 * k));
        const copy = (from: Local<I32>, to: number): void => {
          f.storeTwo(index, loadTwo(from), to + 12 * k);
          f.store(index, load(I32, from, 8), to + 12 * k + 8);
        };
        copy(f.let(lit.add(number.mul(LIT_BYTES))), TRIANGLE.colors);
        f.if(coordinates, () =>
          copy(f.let(coordinates.add(number.mul(coordinateBytes))), TRIANGLE.coordinates),
        );
      }
    });
  });
}

/**
 * x becomes x · baseᵉ. Most exponents are whole and small, and products of squares take a fraction of the time of a
 * power; `base` is lost.
 */
function raise(f: Func, x: Local<F64x2>, base: Local<F64x2>, exponent: Local<F64>, power: Power): void {
  const left = f.let(exponent.toI32().and(255));
  f.if(
    left.toF64().eq(exponent),
    () =>
      f.block((done) =>
        f.loop((again) => {
          f.branchIf(left.eq(0), done);
          f.if(left.and(1), () => f.set(x, x.mul(base)));
          f.set(base, base.mul(base));
          f.set(left, left.shr(1));
          f.branch(again);
        }),
      ),
    () => f.set(x, x.mul(power(base, exponent))),
  );
}

function defineLightTwo(library: Library, power: Power) {
  const addresses = [I32, I32, I32, I32, I32] as const;
  return library.define("light two", addresses, Nothing, (f, part, cornerA, litA, cornerB, litB) => {
    const zero = f.let(F64x2.splat(0));
    const one = f.let(F64x2.splat(1));
    /** Number `i` of both corners. */
    const read = (i: number): F64x2 => loadLane(loadOne(cornerA, 4 * i), 1, cornerB, 4 * i).lowToF64();

    const point = named(f, [read(0), read(1), read(2)]);
    const row = (i: number): F64x2 => {
      const at = PART.world + 32 * i;
      return dot(three(part, at), point).add(loadBoth(part, at + 24));
    };
    const at = named(f, [row(0), row(1), row(2)]);

    // Normals go with the inverse transpose; world = rotation · scale, so rotation · (n / scale).
    const scale = three(part, PART.scale);
    const unscaled = named(f, [read(3).div(scale[0]), read(4).div(scale[1]), read(5).div(scale[2])]);
    const turned = (i: number): F64x2 => dot(three(part, PART.rotation + 24 * i), unscaled);
    const normal = named(f, [turned(0), turned(1), turned(2)]);
    const setAll = (v: Place, to: (i: number) => F64x2): void => {
      for (let i = 0; i < 3; i++) f.set(v[i], to(i));
    };
    const toUnit = (v: Place): void => {
      const factor = f.let(one.div(orElse(f, dot(v, v).sqrt(), 1)));
      setAll(v, (i) => v[i].mul(factor));
    };
    toUnit(normal);
    const eye = three(int(0), FRAME.eye);
    const view = named(f, [eye[0].sub(at[0]), eye[1].sub(at[1]), eye[2].sub(at[2])]);
    toUnit(view);

    const color = named(f, three(part, PART.color));
    const glow = f.let(loadBoth(part, PART.glow));
    const sum = named(f, [glow.mul(color[0]), glow.mul(color[1]), glow.mul(color[2])]);

    const [light, last] = f.locals(I32, 2);
    f.set(light, load(I32, int(FRAME.lights)));
    f.set(last, light.add(load(I32, int(FRAME.lightCount)).mul(LIGHT_BYTES)));
    const [strength, shine] = f.locals(F64x2, 2);
    const toLight = f.locals(F64x2, 3) as unknown as Place;
    f.block((done) =>
      f.loop((again) => {
        f.branchIf(light.ge(last), done);
        f.block((dark) => {
          const direction = named(f, three(light, LIGHT.direction));
          f.set(strength, one);
          f.if(
            load(F64, light, LIGHT.isDirectional).eq(1),
            () => setAll(toLight, (i) => direction[i].neg()),
            () => {
              const position = three(light, LIGHT.position);
              setAll(toLight, (i) => position[i].sub(at[i]));
              const distance = f.let(orElse(f, dot(toLight, toLight).sqrt(), 1e-12));
              setAll(toLight, (i) => toLight[i].div(distance));
              const [constant, linear, quadratic] = three(light, LIGHT.attenuation);
              const fall = constant.add(linear.mul(distance)).add(quadratic.mul(distance).mul(distance));
              f.set(strength, one.div(fall));
              f.if(load(F64, light, LIGHT.cosCutoff).gt(-2), () => {
                const cosine = f.let(dot(toLight, direction).neg());
                const outside = f.let(cosine.lt(loadBoth(light, LIGHT.cosCutoff)));
                f.branchIf(outside.all(), dark);
                f.set(cosine, cosine.pmax(zero));
                raise(f, strength, cosine, f.let(load(F64, light, LIGHT.exponent)), power);
                f.set(strength, strength.andNot(outside));
              });
            },
          );
          const facing = f.let(zero.pmax(dot(normal, toLight)));
          f.set(shine, zero);
          const seen = f.let(facing.gt(zero));
          f.if(seen.any(), () => {
            const specular = f.let(loadBoth(part, PART.specular));
            f.if(specular.lane(0).gt(0), () => {
              const half = named(f, [
                toLight[0].add(view[0]),
                toLight[1].add(view[1]),
                toLight[2].add(view[2]),
              ]);
              const cosine = f.let(dot(normal, half).div(orElse(f, dot(half, half).sqrt(), 1)));
              const exponent = f.let(load(F64, part, PART.exponent));
              const always = exponent.eq(0).pick<I32x4>(f.constantInt(-1), f.constantInt(0));
              const mask = f.let(seen.and(cosine.gt(zero).or(always)));
              raise(f, specular, cosine, exponent, power);
              f.set(shine, specular.and(mask));
            });
          });
          const term = (k: number): F64x2 => {
            const matt = loadBoth(light, LIGHT.ambient + 8 * k).add(
              facing.mul(loadBoth(light, LIGHT.diffuse + 8 * k)),
            );
            return strength.mul(color[k].mul(matt).add(shine.mul(loadBoth(light, LIGHT.specular + 8 * k))));
          };
          for (let k = 0; k < 3; k++) f.set(sum[k], sum[k].add(term(k)));
        });
        f.bump(light, LIGHT_BYTES);
        f.branch(again);
      }),
    );
    sum.forEach((c, k) => {
      const clamped = f.let(zero.pmax(one.pmin(c)).toF32x4());
      f.storeLane(litA, clamped, 0, 4 * k);
      f.storeLane(litB, clamped, 1, 4 * k);
    });
  });
}
