/**
 * BDDL, LIBERO's task language: what a scene holds, where things start, what counts as done.
 *
 *   (define (problem NAME) (:domain robosuite) (:language ...) (:regions ...) (:fixtures ...)
 *           (:objects ...) (:obj_of_interest ...) (:init ...) (:goal (And ...)))
 *
 * The text is lower-cased, `;` starts a comment, sections may come in any order.
 */

import { FormatError } from "../../core/index.ts";
import { checkName } from "./names.ts";
import type { Term } from "./scene.ts";

/** Rectangle (x0, y0, x1, y1) in the frame of the workspace, metres. */
export type Rectangle = readonly [number, number, number, number];

/** A region of the workspace, or (without ranges) a site that the target's own XML defines. */
export interface Region {
  /** `<target>_<name>`. */
  readonly name: string;
  /** Instance that the region lies on. */
  readonly target: string;
  /** Name of the region within its target. */
  readonly site: string;
  readonly ranges: readonly Rectangle[];
  /** Radians, from and to; used for fixtures. */
  readonly yaw: readonly [number, number];
  readonly rgba: readonly [number, number, number, number];
}

/** One instance with its category, in file order. */
export interface Instance {
  readonly name: string;
  readonly category: string;
}

export interface Problem {
  /** Problem class, such as `libero_tabletop_manipulation`. */
  readonly name: string;
  readonly language: string;
  readonly regions: readonly Region[];
  readonly fixtures: readonly Instance[];
  readonly objects: readonly Instance[];
  readonly interest: readonly string[];
  readonly init: readonly Term[];
  readonly goal: readonly Term[];
}

type Expression = string | readonly Expression[];

const SECTIONS = ["domain", "language", "regions", "fixtures", "objects", "obj_of_interest", "init", "goal"];

/** Largest BDDL file that is read, bytes: LIBERO's have 3 kB at most. */
export const MOST_BDDL_BYTES = 2 ** 20;
/** Lists inside lists: a number of a region's range stands in six. */
const MOST_DEPTH = 16;

/**
 * @param who name of the file, for error messages
 * @throws FormatError for anything but one problem whose names are names and whose goal has a term
 */
export function parseBddl(text: string, who: string): Problem {
  const fail = (expected: string, found: string, where = ""): never => {
    throw new FormatError(who + where, expected, found);
  };
  const list = (e: Expression | undefined, what: string, where = ""): readonly Expression[] =>
    e !== undefined && typeof e !== "string" ? e : fail(what, show(e), where);
  const word = (e: Expression | undefined, what: string, where = ""): string =>
    typeof e === "string" ? e : fail(what, show(e), where);
  const name = (e: Expression | undefined, what: string, where = ""): string =>
    checkName(word(e, what, where), who + where);
  const number = (e: Expression, what: string, where: string): number => {
    const value = Number(word(e, what, where));
    return Number.isFinite(value) ? value : fail(what, show(e), where);
  };

  const top = list(readExpression(tokenize(text), fail), "(define ...)");
  if (top[0] !== "define") fail("(define ...)", `(${show(top[0])} ...)`);

  let problem: string | undefined;
  const sections = new Map<string, readonly Expression[]>();
  for (const entry of top.slice(1)) {
    const section = list(entry, "a section such as (:init ...)");
    const key = word(section[0], "the name of a section");
    if (key === "problem") problem = name(section[1], "the problem's name", ": (problem NAME)");
    else if (!key.startsWith(":") || !SECTIONS.includes(key.slice(1)))
      fail(`sections ${SECTIONS.map((s) => `:${s}`).join(", ")}`, `(${key} ...)`);
    else if (sections.has(key)) fail(`one section (${key} ...)`, "two");
    else sections.set(key, section.slice(1));
  }
  const section = (key: string): readonly Expression[] =>
    sections.get(key) ?? fail(`a section (${key} ...)`, "none");

  const [domain] = section(":domain");
  if (domain !== "robosuite") fail("(:domain robosuite)", show(domain));

  const instances = (key: string): Instance[] => {
    const out: Instance[] = [];
    let waiting: string[] = [];
    const where = `: (${key} ...)`;
    const words = section(key).map((e) => word(e, "a word", where));
    for (let i = 0; i < words.length; i++) {
      if (words[i] !== "-") {
        waiting.push(name(words[i], "a name", where));
        continue;
      }
      if (waiting.length === 0) fail('names before "-"', "none", where);
      const category = name(words[++i], 'a category after "-"', where);
      out.push(...waiting.map((instance) => ({ name: instance, category })));
      waiting = [];
    }
    if (waiting.length > 0) fail(`a category after ${waiting.at(-1)}`, "none", where);
    return out;
  };

  const region = (e: Expression): Region => {
    const [head, ...attributes] = list(e, "a region", ": (:regions ...)");
    const site = name(head, "the name of a region", ": (:regions ...)");
    const where = `: region ${site}`;
    let target: string | undefined;
    let ranges: Rectangle[] = [];
    let yaw: readonly [number, number] = [0, 0];
    let rgba: readonly [number, number, number, number] = [0, 0, 1, 0];
    const numbers = (e: Expression, count: number, what: string): number[] => {
      const values = list(e, what, where).map((x) => number(x, `a number in ${what}`, where));
      return values.length === count ? values : fail(what, show(e), where);
    };
    const seen = new Set<string>();
    for (const attribute of attributes) {
      const [head, value] = list(attribute, "an attribute such as (:target OBJ)", where);
      const key = word(head, "the name of an attribute", where);
      if (seen.has(key)) fail(`one (${key} ...)`, "two", where);
      seen.add(key);
      if (key === ":target") target = name(value, "(:target OBJ)", where);
      else if (key === ":ranges") {
        ranges = list(value, "a list of ranges", where).map(
          (r) => numbers(r, 4, "(x0 y0 x1 y1)") as unknown as Rectangle,
        );
      } else if (key === ":yaw_rotation") {
        for (const pair of list(value, "a list of (low high)", where))
          yaw = numbers(pair, 2, "(low high)") as [number, number];
      } else if (key === ":rgba") rgba = numbers(value, 4, "(r g b a)") as [number, number, number, number];
      else fail("attributes :target, :ranges, :yaw_rotation, :rgba", show(head), where);
    }
    if (target === undefined) return fail("(:target OBJ)", "none", where);
    return { name: `${target}_${site}`, target, site, ranges, yaw, rgba };
  };

  const terms = (entries: readonly Expression[], key: string): Term[] => {
    const what = "a term such as (on a b)";
    const where = `: (${key} ...)`;
    return entries.map((e) => {
      const words = list(e, what, where).map((x) => name(x, "a word in a term", where));
      return words.length >= 2 ? words : fail(what, show(e), where);
    });
  };
  const goal = section(":goal");
  const conjunction = list(goal[0], "(and ...)", ": (:goal ...)");
  // Every state fulfils an empty goal.
  if (goal.length > 1 || conjunction[0] !== "and" || conjunction.length < 2)
    fail("(and TERM ...)", goal.map(show).join(" "), ": (:goal ...)");

  return {
    name: problem ?? fail("(problem NAME)", "none"),
    language: section(":language")
      .map((e) => word(e, "a word", ": (:language ...)"))
      .join(" "),
    regions: section(":regions").map(region),
    fixtures: instances(":fixtures"),
    objects: instances(":objects"),
    interest: section(":obj_of_interest").map((e) => name(e, "a name", ": (:obj_of_interest ...)")),
    init: terms(section(":init"), ":init"),
    goal: terms(conjunction.slice(1), ":goal"),
  };
}

function tokenize(text: string): string[] {
  return (
    text
      .replace(/;.*$/gm, "")
      .toLowerCase()
      .match(/[()]|[^\s()]+/g) ?? []
  );
}

function readExpression(
  tokens: readonly string[],
  fail: (expected: string, found: string) => never,
): Expression {
  const open: Expression[][] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === "(") {
      if (open.push([]) > MOST_DEPTH) fail(`lists ${MOST_DEPTH} deep at most`, "deeper ones");
      continue;
    }
    let value: Expression = tokens[i];
    if (value === ")") value = open.pop() ?? fail('"(" before ")"', `none at word ${i + 1}`);
    const parent = open.at(-1);
    if (parent !== undefined) parent.push(value);
    else if (i < tokens.length - 1) fail("nothing after the first form", show(tokens[i + 1]));
    else return value;
  }
  return open.length > 0
    ? fail('")" for every "("', `${open.length} missing`)
    : fail("(define ...)", "no text");
}

function show(e: Expression | undefined): string {
  if (e === undefined) return "nothing";
  const text = typeof e === "string" ? e : `(${e.map(show).join(" ")})`;
  return text.length > 60 ? text.slice(0, 57) + "..." : text;
}
