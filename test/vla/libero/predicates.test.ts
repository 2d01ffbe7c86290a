import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EnvError } from "../../../vla/libero/env-error.ts";
import { Predicates } from "../../../vla/libero/predicates.ts";
import type { Term } from "../../../vla/libero/scene.ts";
import { Sim } from "../../../vla/libero/sim.ts";
import { TINY_SCENE, tinyRow } from "./tiny-scene.ts";

let sim: Sim;
let predicates: Predicates;
beforeAll(async () => {
  sim = await Sim.open(TINY_SCENE, { cacheFolder: null });
  predicates = new Predicates(TINY_SCENE, sim);
});
afterAll(() => sim[Symbol.dispose]());
beforeEach(() => {
  sim.resetData();
  sim.views.qpos.set(tinyRow().slice(1, 1 + sim.nq));
  place("chest", [-0.5, 0.5, 0]);
});

/** Puts a block's centre or the chest's foot somewhere, turned by `yaw` about the vertical. */
function place(name: "red_block" | "blue_block" | "chest", pos: number[], yaw = 0): void {
  const quat = [Math.cos(yaw / 2), 0, 0, Math.sin(yaw / 2)];
  if (name === "chest") {
    const body = sim.id("body", "chest_main");
    sim.views.modelBodyPos.set(pos, 3 * body);
    sim.views.modelBodyQuat.set(quat, 4 * body);
  } else sim.views.qpos.set([...pos, ...quat], sim.qposAddress(`${name}_joint0`));
}

function holds(...term: Term): boolean {
  sim.forward();
  return predicates.compile(term)();
}

describe("on(a, b)", () => {
  // The blue block is 8 cm high and stands on the table, the red one 6 cm.
  test.each([
    ["resting on its middle", [0.4, -0.3, 0.1095], true],
    ["2.9 cm off", [0.429, -0.3, 0.1095], true],
    ["3.1 cm off", [0.431, -0.3, 0.1095], false],
    ["2.5 cm off along both axes", [0.425, -0.275, 0.1095], false],
    ["hovering", [0.4, -0.3, 0.112], false],
  ])("%s", (_, pos, expected) => {
    place("blue_block", [0.4, -0.3, 0.04]);
    place("red_block", pos);
    expect(holds("on", "red_block", "blue_block")).toBe(expected);
    // The lower one is not on the upper one.
    expect(holds("on", "blue_block", "red_block")).toBe(false);
  });
});

describe("on(a, region of the table)", () => {
  // Half sizes .1, .2, .007 at (.4, .3, 0). The site is turned by 0.3 rad, and the reference turns the offset by that
  // again instead of back, so what counts is the offset turned by +0.3.
  const at = (x: number, y: number, z: number): number[] => {
    const [c, s] = [Math.cos(-0.3), Math.sin(-0.3)];
    return [0.4 + c * x - s * y, 0.3 + s * x + c * y, z];
  };
  test.each([
    ["in the middle", at(0, 0, 0.03), true],
    ["within x", at(0.099, 0, 0.03), true],
    ["beyond x", at(0.101, 0, 0.03), false],
    ["within -y", at(0, -0.199, 0.03), true],
    ["beyond -y", at(0, -0.201, 0.03), false],
    ["just low enough", at(0, 0, 0.106), true],
    ["too high", at(0, 0, 0.108), false],
    ["sunk a little", at(0, 0, 0.003), true],
    ["sunk too far", at(0, 0, 0.001), false],
  ])("%s", (_, pos, expected) => {
    place("red_block", pos);
    expect(holds("on", "red_block", "table_region")).toBe(expected);
  });
});

describe("on(a, site of a fixture)", () => {
  test("asks for contact with the fixture", () => {
    place("red_block", [-0.5, 0.5, 0.0695]);
    expect(holds("on", "red_block", "chest_top")).toBe(true);
    place("red_block", [-0.5, 0.5, 0.0715]);
    expect(holds("on", "red_block", "chest_top")).toBe(false);
  });
});

describe("in(a, site)", () => {
  // The drawer's region: half sizes .04, .05, .02 around .12 above the chest's foot.
  test.each([
    ["at the centre", [0, 0, 0.12], true],
    ["within x", [0.039, 0, 0.12], true],
    ["beyond x", [0.041, 0, 0.12], false],
    ["within y", [0, -0.049, 0.12], true],
    ["beyond y", [0, -0.051, 0.12], false],
    ["at the top", [0, 0, 0.139], true],
    ["above", [0, 0, 0.141], false],
    ["1 cm below the bottom", [0, 0, 0.0905], true],
    ["lower", [0, 0, 0.0895], false],
  ])("%s", (_, [x, y, z], expected) => {
    place("red_block", [-0.5 + x, 0.5 + y, z]);
    expect(holds("in", "red_block", "chest_drawer_region")).toBe(expected);
  });

  test("a quarter turn of the site exchanges its extents, and the site moves with its drawer", () => {
    place("chest", [-0.5, 0.5, 0], Math.PI / 2);
    place("red_block", [-0.5 + 0.045, 0.5, 0.12]);
    expect(holds("in", "red_block", "chest_drawer_region")).toBe(true);
    // The drawer slides along the chest's x, now the world's y.
    sim.views.qpos[sim.qposAddress("chest_slide")] = -0.1;
    expect(holds("in", "red_block", "chest_drawer_region")).toBe(false);
    place("red_block", [-0.5, 0.5 - 0.1, 0.12]);
    expect(holds("in", "red_block", "chest_drawer_region")).toBe(true);
  });
});

describe("joints", () => {
  test.each([
    ["open", "chest", "chest_slide", -0.141, -0.14],
    ["open", "chest_drawer_region", "chest_slide", -0.141, -0.14],
    ["close", "chest", "chest_slide", 0.0001, 0],
    ["turnon", "stove", "stove_button", 0.5, 0.499],
    ["turnoff", "stove", "stove_button", -0.0001, 0],
  ])("(%s %s): %s at %d but not at %d", (predicate, thing, joint, yes, no) => {
    sim.views.qpos[sim.qposAddress(joint)] = yes;
    expect(holds(predicate, thing)).toBe(true);
    sim.views.qpos[sim.qposAddress(joint)] = no;
    expect(holds(predicate, thing)).toBe(false);
  });
});

describe("what cannot be tested is refused when compiled", () => {
  test.each<[Term, string]>([
    [
      ["under", "red_block"],
      'Predicates: (under red_block): expected one of on, in, open, close, turnon, turnoff, found "under"',
    ],
    [["on", "red_block"], "Predicates: (on red_block): expected 2 arguments, found 1"],
    [["on", "red_block", "moon"], 'expected an object, fixture or site of the scene, found "moon"'],
    [["in", "red_block", "chest"], 'expected a site of the scene, found "chest"'],
    [["open", "stove"], 'expected a thing with joints that open, found "stove" (stove)'],
    [["close", "chest_top"], 'expected a thing with joints that close, found "chest_top" (chest)'],
  ])("%j", (term, message) => {
    expect(() => predicates.compile(term)).toThrow(EnvError);
    expect(() => predicates.compile(term)).toThrow(message);
  });
});
