import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { type JointKind, layoutOf, stateFault } from "../../../vla/libero/state-layout.ts";

const kinds = fc.array(fc.constantFrom<JointKind>("free", "ball", "slide", "hinge"), { maxLength: 6 });
const unit = fc
  .tuple(...Array.from({ length: 4 }, () => fc.double({ min: -1, max: 1, noNaN: true })))
  .filter((q) => Math.hypot(...q) > 1e-3)
  .map((q) => q.map((x) => x / Math.hypot(...q)));

/** Joints and a state that they may have. */
const states = kinds.chain((joints) => {
  const layout = layoutOf(joints);
  const count = layout.quaternions.length;
  return fc.record({
    layout: fc.constant(layout),
    row: fc
      .tuple(
        fc.array(fc.double({ min: -1e10, max: 1e10, noNaN: true }), {
          minLength: layout.nq + layout.nv,
          maxLength: layout.nq + layout.nv,
        }),
        fc.double({ min: 0, max: 1e10, noNaN: true }),
        fc.array(unit, { minLength: count, maxLength: count }),
      )
      .map(([numbers, time, quaternions]) => {
        layout.quaternions.forEach((at, i) => {
          numbers.splice(at, 4, ...quaternions[i]);
        });
        return [time, ...numbers];
      }),
  });
});

describe("layoutOf", () => {
  it("gives a free joint 7 and 6 numbers, a ball 4 and 3, others one each", () => {
    expect(layoutOf(["hinge", "free", "slide", "ball"])).toEqual({ nq: 13, nv: 11, quaternions: [4, 9] });
  });
});

describe("stateFault", () => {
  test.prop([states])("finds nothing wrong with a state of the model", ({ row, layout }) => {
    expect(stateFault(row, layout)).toBeNull();
  });

  test.prop([states, fc.nat(), fc.constantFrom(Number.NaN, Infinity, -Infinity, 1.1e10, -1e300)])(
    "finds a number that no state has, wherever it is",
    ({ row, layout }, where, bad) => {
      const at = where % row.length;
      expect(stateFault(row.with(at, bad), layout)).toMatchObject({ found: `${bad} at index ${at}` });
    },
  );

  test.prop([states, fc.integer({ min: -3, max: 3 }).filter((n) => n !== 0)])(
    "finds rows of another length",
    ({ row, layout }, more) => {
      const other = more > 0 ? [...row, ...new Array(more).fill(0)] : row.slice(0, more);
      fc.pre(other.length !== row.length);
      expect(stateFault(other, layout)).toEqual({
        expected: `${row.length} numbers (time, qpos, qvel)`,
        found: `${other.length}`,
      });
    },
  );

  test.prop([states, fc.double({ min: 0, max: 3, noNaN: true }).filter((s) => Math.abs(s - 1) > 0.02)])(
    "finds quaternions that are no rotations",
    ({ row, layout }, scale) => {
      fc.pre(layout.quaternions.length > 0);
      const at = 1 + layout.quaternions[0];
      const scaled = row.map((x, i) => (i >= at && i < at + 4 ? scale * x : x));
      expect(stateFault(scaled, layout)?.expected).toBe(`a quaternion of length 1 at index ${at}`);
    },
  );

  it("finds a time before 0", () => {
    expect(stateFault([-0.002], layoutOf([]))).toEqual({ expected: "a time from 0 on", found: "-0.002" });
  });
});
