/** What holds of every dimension: the same numbers give the same bits, and what is harder is further from what was. */
import { fc, test } from "@fast-check/vitest";
import ndarray from "ndarray";
import { describe, expect } from "vitest";
import { type Quaternion, rotate } from "../../../vla/libero/compose/object.ts";
import { Mt19937 } from "../../../vla/libero/mt19937.ts";
import type { Image } from "../../../vla/observation.ts";
import { type CameraPose, perturbCamera, pivotOf } from "../../../vla/perturb/camera.ts";
import { LEVELS } from "../../../vla/perturb/dimensions.ts";
import { placeDistractors } from "../../../vla/perturb/distractors.ts";
import { drawsOf } from "../../../vla/perturb/draws.ts";
import { perturbInstruction } from "../../../vla/perturb/language.ts";
import { perturbLights } from "../../../vla/perturb/light.ts";
import { drawFault, NOISE_KINDS, spoil } from "../../../vla/perturb/noise.ts";
import { drawMoves } from "../../../vla/perturb/position.ts";
import { compose, turnAbout, type Vector } from "../../../vla/perturb/quaternion.ts";
import { perturbArm } from "../../../vla/perturb/robot.ts";
import { drawPattern, drawTint, repaint, tinted } from "../../../vla/perturb/textures.ts";

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const levels = fc.constantFrom(...LEVELS);
const minus = (a: readonly number[], b: readonly number[]): number[] => a.map((x, k) => x - b[k]);
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, k) => sum + x * b[k], 0);
const degreesBetween = (a: readonly number[], b: readonly number[]): number =>
  (180 / Math.PI) * Math.acos(Math.min(1, dot(a, b) / (Math.hypot(...a) * Math.hypot(...b))));

/** How close a picture is to another, decibels: 10 log₁₀(255² / mean squared difference); Infinity for the same. */
function psnr(a: Image, b: Image): number {
  const [height, width] = a.shape;
  let sum = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) sum += (a.get(y, x, c) - b.get(y, x, c)) ** 2;
  return 10 * Math.log10((255 ** 2 * 3 * width * height) / sum);
}

/** LIBERO's camera in front of its tables. */
const CAMERA: CameraPose = {
  pos: [0.65861, 0, 1.61035],
  quat: compose(turnAbout([0, 0, 1], 90), turnAbout([1, 0, 0], 51.05)),
  fovy: 45,
};
const HEIGHT = 0.9;

describe("draws", () => {
  const episode = { seed: 1, suite: "mini", task: "a", init: 2 };
  test("are those of dimension, episode and attempt", () => {
    const first = (...args: Parameters<typeof drawsOf>) => drawsOf(...args).uint32();
    expect(first("camera", episode)).toBe(first("camera", { ...episode }));
    const others = [
      first("light", episode),
      first("camera", episode, 1),
      ...[{ seed: 2 }, { suite: "b" }, { task: "b" }, { init: 3 }].map((change) =>
        first("camera", { ...episode, ...change }),
      ),
    ];
    expect(new Set([first("camera", episode), ...others]).size).toBe(others.length + 1);
  });
});

describe("camera", () => {
  test.prop([seeds, levels])(
    "swings about what it looks at, nearer or further, and turns off",
    (seed, level) => {
      const { camera, change } = perturbCamera(CAMERA, HEIGHT, level, new Mt19937(seed));
      const pivot = pivotOf(CAMERA, HEIGHT);
      expect(pivot[2]).toBeCloseTo(HEIGHT, 9);
      const [before, after] = [minus(CAMERA.pos, pivot), minus(camera.pos, pivot)];
      expect(degreesBetween(before, after)).toBeCloseTo(5 * level, 6);
      expect(Math.hypot(...after) / Math.hypot(...before)).toBeCloseTo(change.distance, 9);
      expect(Math.abs(change.distance - 1)).toBeCloseTo(0.05 * level, 9);
      expect(Math.abs(camera.fovy / 45 - 1)).toBeCloseTo(0.04 * level, 9);
      // It looks past the pivot by the turn at most, and its quaternion stays one.
      const ahead = rotate(camera.quat, [0, 0, -1]);
      expect(degreesBetween(ahead, minus(pivot, camera.pos))).toBeLessThan(level + 1e-6);
      expect(Math.hypot(...camera.quat)).toBeCloseTo(1, 6);
    },
  );

  test("nears and widens as often as not", () => {
    const changes = Array.from(
      { length: 400 },
      (_, seed) => perturbCamera(CAMERA, HEIGHT, 1, new Mt19937(seed)).change,
    );
    for (const key of ["distance", "field"] as const) {
      const share = changes.filter((change) => change[key] > 1).length / changes.length;
      // Six standard deviations of 400 coins.
      expect(Math.abs(share - 0.5)).toBeLessThan(0.15);
    }
  });

  test("that looks up turns about a point ahead of it", () => {
    const up: CameraPose = { pos: [0, 0, 1], quat: [0, 1, 0, 0], fovy: 60 };
    expect(pivotOf(up, HEIGHT)).toEqual([0, 0, 2]);
  });
});

describe("light", () => {
  const lamp = {
    place: { pos: [1.2, 1, 3.5] as Vector, dir: [-0.33, -0.27, -1] as Vector },
    ambient: [0.1, 0.1, 0.1] as Vector,
    diffuse: [0.4, 0.4, 0.4] as Vector,
    specular: [0.2, 0.2, 0.2] as Vector,
  };
  test.prop([seeds, levels])("swings as one and changes brightness and colour", (seed, level) => {
    const { lights, change } = perturbLights(
      [lamp, { ...lamp, place: null }],
      [0, 0, HEIGHT],
      level,
      new Mt19937(seed),
    );
    const { pos, dir } = lights[0].place!;
    const centre = [0, 0, HEIGHT];
    expect(Math.hypot(...minus(pos, centre))).toBeCloseTo(Math.hypot(...minus(lamp.place.pos, centre)), 9);
    // About an axis that it is not itself on, so by no more than the swing.
    expect(degreesBetween(dir, lamp.place.dir)).toBeLessThanOrEqual(10 * level + 1e-6);
    expect(lights[1].place).toBeNull();
    const mean = change.gain.reduce((sum, x) => sum + x, 0) / 3;
    expect(Math.abs(Math.log(mean) / Math.log(1.2))).toBeCloseTo(level, 9);
    lights.forEach(({ diffuse }) => {
      expect(diffuse).toEqual(change.gain.map((x) => 0.4 * x));
    });
    const spread = Math.max(...change.gain) / Math.min(...change.gain);
    expect(spread).toBeGreaterThan(1);
    expect(change.gain.every((x) => x > 0)).toBe(true);
  });
});

describe("textures", () => {
  const size = { width: 16, height: 8, channels: 4 };
  const picture = fc.uint8Array({ minLength: 512, maxLength: 512 });
  test.prop([seeds, picture])(
    "leave less of a picture from level to level, and nothing at 5",
    (seed, texels) => {
      const pattern = drawPattern(new Mt19937(seed));
      const painted = LEVELS.map((level) => repaint(texels, size, pattern, level));
      const away = painted.map((bytes) => bytes.reduce((sum, x, i) => sum + Math.abs(x - texels[i]), 0));
      for (let i = 1; i < away.length; i++) expect(away[i]).toBeGreaterThan(away[i - 1]);
      // The fourth channel stays.
      const fourth = (bytes: Uint8Array) => [...bytes].filter((_, i) => i % 4 === 3);
      expect(fourth(painted[4])).toEqual(fourth(texels));
      const colours = new Set(pattern.colours.map((colour) => colour.map(Math.round).join()));
      const known = colours.size;
      for (let i = 0; i < texels.length; i += 4) colours.add(painted[4].slice(i, i + 3).join());
      expect(colours.size).toBe(known);
    },
  );

  test.prop([seeds, levels])("leave a thing most of its colour", (seed, level) => {
    const tint = drawTint(new Mt19937(seed));
    const red = [0.85, 0.1, 0.1];
    const now = tinted(red, tint, level);
    const share = 0.06 * level;
    now.forEach((x, k) => {
      expect(x).toBeCloseTo(red[k] + share * (tint[k] - red[k]), 12);
    });
  });
});

test.prop([seeds, levels])("the arm is turned by 0.1 rad per level, one way at all levels", (seed, level) => {
  const home = [0, -0.16, 0, -2.44, 0, 2.23, 0.79];
  const away = minus(perturbArm(home, level, new Mt19937(seed)), home);
  expect(Math.hypot(...away)).toBeCloseTo(0.1 * level, 9);
  const first = minus(perturbArm(home, 1, new Mt19937(seed)), home);
  away.forEach((x, k) => {
    expect(x).toBeCloseTo(level * first[k], 9);
  });
});

test.prop([seeds, levels, fc.integer({ min: 1, max: 5 })])(
  "groups move by 2 cm per level",
  (seed, level, count) => {
    const moves = drawMoves(count, level, new Mt19937(seed));
    expect(moves).toHaveLength(count);
    for (const move of moves) expect(Math.hypot(...move)).toBeCloseTo(0.02 * level, 12);
  },
);

describe("distractors", () => {
  const sized = (radius: number) =>
    ({ radius, bottom: -0.02, rotation: [["x", [0, 1]]] }) as unknown as Parameters<
      typeof placeDistractors
    >[0][0];
  const room = [-0.3, -0.4, 0.2, 0.4] as const;
  test.prop([
    seeds,
    fc.array(fc.double({ min: 0.02, max: 0.08, noNaN: true }), { minLength: 1, maxLength: 5 }),
  ])("lie apart, in the room, and the first ones where they would lie without the others", (seed, radii) => {
    const occupied = [{ x: 0, y: 0, radius: 0.07 }];
    const poses = placeDistractors(radii.map(sized), room, 0.9, occupied, new Mt19937(seed));
    fc.pre(poses !== null);
    const all = [...occupied, ...poses!.map(({ pos: [x, y] }, i) => ({ x, y, radius: radii[i] }))];
    all.forEach((a, i) => {
      for (const b of all.slice(i + 1))
        expect(Math.hypot(a.x - b.x, a.y - b.y)).toBeGreaterThan(a.radius + b.radius);
    });
    for (const { pos, quat } of poses!) {
      expect(pos[0] >= room[0] && pos[0] <= room[2] && pos[1] >= room[1] && pos[1] <= room[3]).toBe(true);
      expect(pos[2]).toBeCloseTo(0.9 + 0.01 + 0.02, 12);
      expect(Math.hypot(...(quat as Quaternion))).toBeCloseTo(1, 12);
    }
    const fewer = placeDistractors(radii.slice(0, -1).map(sized), room, 0.9, occupied, new Mt19937(seed));
    expect(fewer).toEqual(poses!.slice(0, -1));
  });

  test("find no place where there is none", () => {
    expect(
      placeDistractors([sized(0.08)], room, 0.9, [{ x: 0, y: 0, radius: 2 }], new Mt19937(0)),
    ).toBeNull();
  });
});

describe("language", () => {
  const others = ["push the drawer shut", "stack the red block on the blue block"];
  const words = fc
    .array(fc.stringMatching(/^[a-z]{1,8}$/), { minLength: 2, maxLength: 6 })
    .map((some) => some.join(" "));
  const say = (instruction: string, level: (typeof LEVELS)[number], seed = 0) =>
    perturbInstruction(instruction, others, level, new Mt19937(seed));

  test.prop([seeds, words, levels])("is something else, whatever was said", (seed, told, level) => {
    const { instruction } = say(told, level, seed);
    expect(instruction.length).toBeGreaterThan(0);
    expect(instruction).not.toBe(told);
  });

  test("says the same in other words, in other names, in fewer words", () => {
    const told = "put the red block on the plate";
    const said = (level: (typeof LEVELS)[number]) =>
      new Set(Array.from({ length: 40 }, (_, seed) => say(told, level, seed).instruction));
    expect(said(1)).toEqual(
      new Set([
        "take the red block and leave it on the plate",
        "I want the red block to end up on the plate, please carry it there",
      ]),
    );
    expect(said(2)).toContain("set the crimson cube on the dish");
    for (const words of said(2)) expect(words).not.toMatch(/\b(put|red|block|plate)\b/);
    expect(said(3)).toEqual(new Set(["red block on plate"]));
    expect(said(4)).toEqual(new Set(others));
    for (const words of said(5)) expect(words.split(" ")).toHaveLength(6);
  });

  test("knows how to say what LIBERO's tasks ask for", () => {
    const kinds = [
      "pick up the black bowl on the stove and place it on the plate",
      "put both moka pots on the stove",
      "open the top drawer and put the bowl inside",
      "turn on the stove and put the moka pot on it",
      "turn off the stove",
      "close the microwave",
      "push the plate to the front of the stove",
    ];
    for (const told of kinds) {
      expect(say(told, 1).instruction).not.toMatch(/^what I would like/);
      expect(say(told, 2).instruction).not.toBe(say(told, 1).instruction);
    }
    expect(say("put both moka pots on the stove", 1).kind).toBe("paraphrase");
    expect(say("dance", 1).instruction).toBe("what I would like you to do next is this: dance");
  });

  test("needs another task for another task's words", () => {
    expect(() => perturbInstruction("wave", [], 4, new Mt19937(0))).toThrow(
      'language:4: expected an instruction besides "wave", found a suite of one task',
    );
  });
});

describe("sensors", () => {
  /** Smooth shapes, an edge and some grain, in all colours. */
  const picture = (seed: number, side = 24): Image => {
    const draws = new Mt19937(seed);
    const [a, b, c] = [draws.uniform(0.2, 0.6), draws.uniform(0.2, 0.6), draws.uniform(0, 6)];
    const bytes = new Uint8Array(3 * side * side);
    for (let i = 0; i < side * side; i++)
      for (let k = 0; k < 3; k++) {
        const [x, y] = [i % side, Math.floor(i / side)];
        const edge = x > side / 2 ? 40 : -40;
        bytes[3 * i + k] = 128 + 50 * Math.sin(a * x + b * y + c + k) + edge + draws.uniform(-10, 10);
      }
    return ndarray(bytes, [side, side, 3]);
  };
  const episodes = Array.from({ length: 60 }, (_, seed) => seed);

  test("every kind of fault comes", () => {
    const kinds = new Set(episodes.map((seed) => drawFault(3, new Mt19937(seed)).kind));
    expect(kinds).toEqual(new Set(NOISE_KINDS));
  });

  test.prop([seeds, levels], { numRuns: 20 })("give the same picture each time, a new one", (seed, level) => {
    const clear = picture(seed, 48); // a blur of level 1 is lost in a smaller one
    const before = clear.data.slice();
    const look = () => spoil(clear, drawFault(level, new Mt19937(seed)), new Mt19937(seed)).data;
    const spoilt = look();
    expect(Buffer.compare(look(), spoilt)).toBe(0);
    expect(Buffer.compare(clear.data, before)).toBe(0);
    expect(Buffer.compare(spoilt, before)).not.toBe(0);
  });

  test.each(NOISE_KINDS)("give worse pictures from level to level: %s", (kind) => {
    const draws = () => new Mt19937(episodes.find((seed) => drawFault(1, new Mt19937(seed)).kind === kind)!);
    const pictures = [1, 2, 3, 4].map((seed) => picture(seed, 40));
    // Of one picture a compression may happen to keep a little more than the one before.
    const closeness = LEVELS.map((level) => {
      const each = pictures.map((clear) =>
        psnr(spoil(clear, drawFault(level, draws()), new Mt19937(9)), clear),
      );
      return each.reduce((sum, x) => sum + x, 0) / each.length;
    });
    for (let i = 1; i < closeness.length; i++) expect(closeness[i]).toBeLessThan(closeness[i - 1]);
    expect(closeness[4]).toBeLessThan(30); // plainly to be seen
  });

  test("a plain picture stays plain, but for grain and exposure", () => {
    const plain = ndarray(new Uint8Array(3 * 20 * 20).fill(128), [20, 20, 3]);
    for (const seed of episodes) {
      const fault = drawFault(5, new Mt19937(seed));
      const seen = spoil(plain, fault, new Mt19937(1));
      if (fault.kind === "grain") expect(new Set(seen.data).size).toBeGreaterThan(50);
      else if (fault.kind === "exposure") expect(seen.data[0]).not.toBe(128);
      else expect(new Set(seen.data)).toEqual(new Set([128]));
    }
  });
});
