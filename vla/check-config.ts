import { printable } from "../core/index.ts";

/** A value out of a `config.json` → what should be there instead, or null where it is fine. */
export type Rule = (value: unknown) => string | null;

/** A whole number between bounds, both included. */
export const whole =
  (least: number, most: number): Rule =>
  (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? null
      : `a whole number in ${least}..${most}`;

/** A number between bounds, both included. */
export const real =
  (least: number, most: number): Rule =>
  (value) =>
    typeof value === "number" && value >= least && value <= most ? null : `a number in ${least}..${most}`;

export const flag: Rule = (value) => (typeof value === "boolean" ? null : "true or false");

/** One of some words. */
export const oneOf =
  (words: readonly string[]): Rule =>
  (value) =>
    words.includes(value as string) ? null : words.map((word) => JSON.stringify(word)).join(" or ");

export const orNull =
  (rule: Rule): Rule =>
  (value) => {
    const expected = value === null ? null : rule(value);
    return expected === null ? null : `null or ${expected}`;
  };

/** An object whose fields obey rules. */
export const objectOf =
  (rules: Readonly<Record<string, Rule>>): Rule =>
  (value) => {
    const fields = Object.keys(rules).join(", ");
    return checkFields("", value, rules).length === 0 ? null : `an object of ${fields} in range`;
  };

/** A list of at most 16 entries that all obey one rule. */
export const listOf =
  (rule: Rule): Rule =>
  (value) => {
    if (!Array.isArray(value) || value.length === 0 || value.length > 16) return "a list of 1 to 16";
    const wrong = value.map(rule).find((expected) => expected !== null);
    return wrong === undefined ? null : `a list of 1 to 16, each ${wrong}`;
  };

/** What is wrong with the fields of `value`, one line each: "place.field: expected X, found Y". */
export function checkFields(place: string, value: unknown, rules: Readonly<Record<string, Rule>>): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [`${place}: expected an object, found ${show(value)}`];
  }
  return Object.entries(rules).flatMap(([field, rule]) => {
    const found = Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined;
    const expected = rule(found);
    return expected === null ? [] : [`${place}.${field}: expected ${expected}, found ${show(found)}`];
  });
}

/** A value in a message, short. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  const shown = printable(text.slice(0, 80), 1000);
  return text.length > 80 ? `${shown}…` : shown;
}
