import { describe, expect, test } from "vitest";
import { HORIZON } from "../../../vla/libero/env.ts";
import { maxSteps, PROTOCOLS } from "../../../vla/libero/protocols.ts";

const SUITES = ["libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90"];

describe.each(Object.values(PROTOCOLS))("protocol $name", (protocol) => {
  test.each(SUITES)("fits %s into the environment's horizon", (suite) => {
    expect(maxSteps(protocol, suite) + protocol.settle.steps).toBeLessThanOrEqual(HORIZON);
    expect(maxSteps(protocol, suite)).toBeGreaterThan(0);
  });

  test("settles without moving the arm", () => {
    expect(protocol.settle.action.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

test("protocols that limit steps by suite refuse a suite they do not know", () => {
  expect(() => maxSteps(PROTOCOLS.openpi, "mine")).toThrow(
    'maxSteps of protocol "openpi": expected one of libero_spatial, libero_object, libero_goal, libero_10, libero_90, found "mine"',
  );
  expect(maxSteps(PROTOCOLS.nina, "mine")).toBe(520);
  expect(maxSteps(PROTOCOLS.lerobot, "libero_spatial")).toBe(280);
  expect(maxSteps(PROTOCOLS.openvla, "libero_spatial")).toBe(220);
});

test("variants of LIBERO's suites have their limits", () => {
  expect(maxSteps(PROTOCOLS.openvla, "libero_object_swap")).toBe(280);
  expect(maxSteps(PROTOCOLS.openvla, "libero_10_lan")).toBe(520);
  expect(() => maxSteps(PROTOCOLS.openvla, "libero_100")).toThrow('found "libero_100"');
});

test("the embedded suite has one limit under all protocols", () => {
  for (const protocol of Object.values(PROTOCOLS)) expect(maxSteps(protocol, "mini")).toBe(300);
});
