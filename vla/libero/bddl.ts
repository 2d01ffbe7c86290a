/**
 * BDDL, LIBERO's task language: what a scene holds, where things start, what counts as done.
 *
 *   (define (problem NAME) (:domain robosuite) (:language ...) (:regions ...) (:fixtures ...)
 *           (:objects ...) (:obj_of_interest ...) (:init ...) (:goal (And ...)))
 *
 * The text is lower-cased, `;` starts a comment, sections may come in any order.
 */

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

/** @param who name of the file, for error messages */
export function parseBddl(text: string, who: string): Problem {
  const fail = (message: string): never => {
    throw new Error(`${who}: ${message}`);
  };
  const list = (e: Expression | undefined, what: string): readonly Expression[] =>
    e !== undefined && typeof e !== "string" ? e : fail(`expected ${what}, found ${show(e)}`);
  const word = (e: Expression | undefined, what: string): string =>
    typeof e === "string" ? e : fail(`expected ${what}, found ${show(e)}`);
  const number = (e: Expression, what: string): number => {
    const value = Number(word(e, what));
    return Number.isFinite(value) ? value : fail(`expected ${what}, found ${show(e)}`);
  };

  const top = list(readExpression(tokenize(text), fail), "(define ...)");
  if (top[0] !== "define") fail(`expected (define ...), found (${show(top[0])} ...)`);

  let name: string | undefined;
  const sections = new Map<string, readonly Expression[]>();
  for (const entry of top.slice(1)) {
    const section = list(entry, "a section such as (:init ...)");
    const key = word(section[0], "the name of a section");
    if (key === "problem") name = word(section[1], "the problem's name");
    else if (!key.startsWith(":") || !SECTIONS.includes(key.slice(1))) fail(`unknown section (${key} ...)`);
    else if (sections.has(key)) fail(`section (${key} ...) appears twice`);
    else sections.set(key, section.slice(1));
  }
  if (name === undefined) fail("no (problem NAME)");
  const section = (key: string): readonly Expression[] =>
    sections.get(key) ?? fail(`no section (${key} ...)`);

  const [domain] = section(":domain");
  if (domain !== "robosuite") fail(`expected (:domain robosuite), found ${show(domain)}`);

  const instances = (key: string): Instance[] => {
    const out: Instance[] = [];
    let waiting: string[] = [];
    const words = section(key).map((e) => word(e, `a word in (${key} ...)`));
    for (let i = 0; i < words.length; i++) {
      if (words[i] !== "-") {
        waiting.push(words[i]);
        continue;
      }
      const category = words[++i] ?? fail(`(${key} ...) ends after "-" where a category is due`);
      out.push(...waiting.map((instance) => ({ name: instance, category })));
      waiting = [];
    }
    if (waiting.length > 0) fail(`(${key} ...): no category after ${waiting.join(" ")}`);
    return out;
  };

  const region = (e: Expression): Region => {
    const [head, ...attributes] = list(e, "a region");
    const site = word(head, "the name of a region");
    let target: string | undefined;
    let ranges: Rectangle[] = [];
    let yaw: readonly [number, number] = [0, 0];
    let rgba: readonly [number, number, number, number] = [0, 0, 1, 0];
    const numbers = (e: Expression, count: number, what: string): number[] => {
      const values = list(e, what).map((x) => number(x, `a number in ${what}`));
      return values.length === count ? values : fail(`region ${site}: expected ${what}, found ${show(e)}`);
    };
    for (const attribute of attributes) {
      const [key, value] = list(attribute, `an attribute of region ${site}`);
      if (key === ":target") target = word(value, `the target of region ${site}`);
      else if (key === ":ranges") {
        ranges = list(value, "a list of ranges").map(
          (r) => numbers(r, 4, "(x0 y0 x1 y1)") as unknown as Rectangle,
        );
      } else if (key === ":yaw_rotation") {
        for (const pair of list(value, "a list of (low high)"))
          yaw = numbers(pair, 2, "(low high)") as [number, number];
      } else if (key === ":rgba") rgba = numbers(value, 4, "(r g b a)") as [number, number, number, number];
      else fail(`region ${site}: unknown attribute ${show(key)}`);
    }
    if (target === undefined) return fail(`region ${site} has no (:target OBJ)`);
    return { name: `${target}_${site}`, target, site, ranges, yaw, rgba };
  };

  const term = (e: Expression): Term => {
    const words = list(e, "a term such as (on a b)").map((x) => word(x, "a word in a term"));
    return words.length >= 2 ? words : fail(`expected a term such as (on a b), found ${show(e)}`);
  };
  const [goal, ...rest] = section(":goal");
  if (rest.length > 0 || list(goal, "(and ...)")[0] !== "and")
    fail(`expected (:goal (and ...)), found ${show(goal)}`);

  return {
    name: name!,
    language: section(":language")
      .map((e) => word(e, "a word of the language"))
      .join(" "),
    regions: section(":regions").map(region),
    fixtures: instances(":fixtures"),
    objects: instances(":objects"),
    interest: section(":obj_of_interest").map((e) => word(e, "an instance of interest")),
    init: section(":init").map(term),
    goal: list(goal, "(and ...)").slice(1).map(term),
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

function readExpression(tokens: readonly string[], fail: (message: string) => never): Expression {
  const open: Expression[][] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === "(") {
      open.push([]);
      continue;
    }
    let value: Expression = tokens[i];
    if (value === ")") value = open.pop() ?? fail(`")" without "(" at word ${i + 1}`);
    const parent = open.at(-1);
    if (parent !== undefined) parent.push(value);
    else if (i < tokens.length - 1) fail(`text after the first form: ${show(tokens[i + 1])}`);
    else return value;
  }
  return fail(open.length > 0 ? `${open.length} "(" without ")"` : "no text");
}

function show(e: Expression | undefined): string {
  if (e === undefined) return "nothing";
  const text = typeof e === "string" ? e : `(${e.map(show).join(" ")})`;
  return text.length > 60 ? text.slice(0, 57) + "..." : text;
}
