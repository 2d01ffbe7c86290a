import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../core/index.ts";
import { type Instance, type Problem, parseBddl, type Region } from "../../../vla/libero/bddl.ts";

const TEXT = `
(define (problem LIBERO_Tabletop_Manipulation)   ; upper case is folded
  (:domain robosuite)
  (:language Put the Bowl on the plate)
  (:regions
    (plate_region (:target main_table) (:ranges ((0.05 0.19 0.07 0.21) (0 0 1 1))) (:yaw_rotation ((0.5 1.5))))
    (top_side (:target cabinet_1)))
  (:fixtures main_table - table  cabinet_1 cabinet_2 - wooden_cabinet)
  (:objects bowl_1 - bowl)
  (:obj_of_interest bowl_1)
  (:init (On bowl_1 main_table_plate_region) (Open cabinet_1_top_side))
  (:goal (And (On bowl_1 cabinet_1_top_side))))
`;

/** The plainest text of a problem. */
function print(p: Problem): string {
  const instances = (list: readonly Instance[]): string =>
    list.map((i) => `${i.name} - ${i.category}`).join(" ");
  const terms = (list: readonly (readonly string[])[]): string =>
    list.map((t) => `(${t.join(" ")})`).join(" ");
  const region = (r: Region): string => {
    const ranges = r.ranges.length === 0 ? "" : `(:ranges (${terms(r.ranges.map((x) => x.map(String)))}))`;
    return `(${r.site} (:target ${r.target}) ${ranges} (:yaw_rotation ((${r.yaw.join(" ")}))) (:rgba (${r.rgba.join(" ")})))`;
  };
  return `(define (problem ${p.name}) (:domain robosuite) (:language ${p.language})
    (:regions ${p.regions.map(region).join("\n")}) (:fixtures ${instances(p.fixtures)}) (:objects ${instances(p.objects)})
    (:obj_of_interest ${p.interest.join(" ")}) (:init ${terms(p.init)}) (:goal (and ${terms(p.goal)})))`;
}

const word = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/);
const number = fc.double({ min: -10, max: 10, noNaN: true }).map((x) => x + 0);
const term = fc.array(word, { minLength: 2, maxLength: 3 });
const instance = fc.record({ name: word, category: word });
const region: fc.Arbitrary<Region> = fc
  .record({
    site: word,
    target: word,
    ranges: fc.array(fc.tuple(number, number, number, number), { maxLength: 3 }),
    yaw: fc.tuple(number, number),
    rgba: fc.tuple(number, number, number, number),
  })
  .map((r) => ({ ...r, name: `${r.target}_${r.site}` }));
const problem: fc.Arbitrary<Problem> = fc.record({
  name: word,
  language: fc.array(word, { maxLength: 5 }).map((w) => w.join(" ")),
  regions: fc.array(region, { maxLength: 3 }),
  fixtures: fc.array(instance, { maxLength: 3 }),
  objects: fc.array(instance, { maxLength: 3 }),
  interest: fc.array(word, { maxLength: 3 }),
  init: fc.array(term, { maxLength: 3 }),
  goal: fc.array(term, { minLength: 1, maxLength: 3 }),
});

describe("parseBddl", () => {
  property.prop([problem])("reads back what was printed", (p) => {
    expect(parseBddl(print(p), "printed")).toEqual(p);
  });

  property.prop([problem, fc.nat()])("refuses a text that lost a parenthesis", (p, where) => {
    const text = print(p);
    const parens = [...text.matchAll(/[()]/g)].map((m) => m.index);
    const at = parens[where % parens.length];
    expect(() => parseBddl(text.slice(0, at) + text.slice(at + 1), "broken.bddl")).toThrow(/^broken\.bddl: /);
  });

  test("folds case, drops comments, fills in defaults", () => {
    const p = parseBddl(TEXT, "text");
    expect(p.name).toBe("libero_tabletop_manipulation");
    expect(p.language).toBe("put the bowl on the plate");
    expect(p.regions).toEqual([
      {
        name: "main_table_plate_region",
        target: "main_table",
        site: "plate_region",
        ranges: [
          [0.05, 0.19, 0.07, 0.21],
          [0, 0, 1, 1],
        ],
        yaw: [0.5, 1.5],
        rgba: [0, 0, 1, 0],
      },
      {
        name: "cabinet_1_top_side",
        target: "cabinet_1",
        site: "top_side",
        ranges: [],
        yaw: [0, 0],
        rgba: [0, 0, 1, 0],
      },
    ]);
    expect(p.fixtures.map((f) => `${f.name}:${f.category}`)).toEqual([
      "main_table:table",
      "cabinet_1:wooden_cabinet",
      "cabinet_2:wooden_cabinet",
    ]);
    expect(p.goal).toEqual([["on", "bowl_1", "cabinet_1_top_side"]]);
  });

  test.each([
    ["", "expected (define ...), found no text"],
    ["(define", 'expected ")" for every "(", found 1 missing'],
    ["define)", "expected nothing after the first form, found )"],
    [`${TEXT} (more)`, "expected nothing after the first form, found ("],
    ["(problem x)", "expected (define ...), found (problem ...)"],
    [TEXT.replace("(:goal", "(:gaol"), "found (:gaol ...)"],
    [TEXT.replace("(:init", "(:goal (and (on a b))) (:init"), "expected one section (:goal ...), found two"],
    [TEXT.replace(/\(:init.*\n/, ""), "expected a section (:init ...), found none"],
    [TEXT.replace("(:objects bowl_1 - bowl)", "(:objects bowl_1)"), "a category after bowl_1, found none"],
    [TEXT.replace("- bowl)", "-)"), 'a category after "-", found nothing'],
    [TEXT.replace("bowl_1 - bowl)", "- bowl)"), '(:objects ...): expected names before "-", found none'],
    [TEXT.replace("0.19", "wide"), "region plate_region: expected a number in (x0 y0 x1 y1), found wide"],
    [TEXT.replace("0.19", "nan"), "expected a number in (x0 y0 x1 y1), found nan"],
    [TEXT.replace("(0 0 1 1)", "(0 0 1)"), "region plate_region: expected (x0 y0 x1 y1), found (0 0 1)"],
    [TEXT.replace("(:target main_table)", ""), "region plate_region: expected (:target OBJ), found none"],
    [
      TEXT.replace("(:target main_table)", "(:target a) (:target b)"),
      "expected one (:target ...), found two",
    ],
    [TEXT.replace("(:target main_table)", "(:target ../main)"), '"_", "-" and ".", found "../main"'],
    [TEXT.replace("And", "Or"), "(:goal ...): expected (and TERM ...), found (or "],
    [TEXT.replace(/\(And.*/, "(And)))"), "(:goal ...): expected (and TERM ...), found (and)"],
    [TEXT.replace(/\(And.*/, "))"), "(:goal ...): expected (and ...), found nothing"],
    [TEXT.replace("robosuite", "gym"), "expected (:domain robosuite), found gym"],
    [TEXT.replace("- bowl)", "- ../../../bowl)"), "(:objects ...): expected a name of at most 200 letters"],
    [TEXT.replace("- bowl)", "- ..)"), 'found ".."'],
    [TEXT.replace("- bowl)", `- ${"b".repeat(201)})`), "a name of at most 200 letters"],
    [TEXT.replace("(Open", "(Open\u202e"), "(:init ...): expected a name of at most 200 letters"],
    [`(define ${"(".repeat(1e5)}${")".repeat(1e5)})`, "expected lists 16 deep at most, found deeper ones"],
  ])("says what is wrong, case %#", (text, message) => {
    expect(() => parseBddl(text, "task.bddl")).toThrow(FormatError);
    expect(() => parseBddl(text, "task.bddl")).toThrow(/^task\.bddl: /);
    expect(() => parseBddl(text, "task.bddl")).toThrow(message);
  });
});

const ROOT = process.env.LIBERO_ROOT;
describe.skipIf(!ROOT)("parseBddl on LIBERO's files (needs LIBERO_ROOT)", () => {
  test("reads all 130, and what it reads prints and reads back", () => {
    const folder = join(ROOT!, "libero", "libero", "bddl_files");
    const files = ["libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90"].flatMap(
      (suite) =>
        readdirSync(join(folder, suite))
          .filter((f) => f.endsWith(".bddl"))
          .map((f) => join(folder, suite, f)),
    );
    const problems = files.map((f) => parseBddl(readFileSync(f, "utf8"), f));
    for (const p of problems) expect(parseBddl(print(p), "printed")).toEqual(p);
    // Counts of the whole benchmark.
    const predicates = problems.flatMap((p) => p.goal.map((t) => t[0]));
    expect(problems.length).toBe(130);
    expect(predicates.filter((p) => p === "in").length).toBe(63);
    expect(predicates.filter((p) => p === "on").length).toBe(61);
  });
});
