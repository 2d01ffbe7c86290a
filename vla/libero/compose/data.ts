/** Facts that stand in JSON files beside assets, read with the place of whatever is wrong. */

import { FormatError } from "../../../core/index.ts";
import { readText } from "../../platform/node.ts";

const MOST_DATA_BYTES = 2 ** 20;

/** @throws FormatError for a file that is no JSON, or has more than `most` bytes */
export function readData(path: string, most = MOST_DATA_BYTES): Data {
  const text = readText(path, most);
  try {
    return new Data(path, JSON.parse(text));
  } catch {
    throw new FormatError(path, "JSON", text);
  }
}

/** A value out of a file. Every method throws a FormatError for another kind of value. */
export class Data {
  /** The file, and the place inside it. */
  readonly who: string;
  readonly #value: unknown;

  constructor(who: string, value: unknown) {
    this.who = who;
    this.#value = value;
  }

  /** An object that has all of `required`, maybe some of `optional`, and nothing else. */
  fields<R extends string, O extends string = never>(
    required: readonly R[],
    optional: readonly O[] = [],
  ): Readonly<Record<R, Data> & Partial<Record<O, Data>>> {
    const all = this.record((data) => data);
    const known: readonly string[] = [...required, ...optional];
    const unknown = Object.keys(all).find((name) => !known.includes(name));
    if (unknown !== undefined) throw new FormatError(this.who, `only ${known.join(", ")}`, unknown);
    const missing = required.find((name) => !Object.hasOwn(all, name));
    if (missing !== undefined) throw new FormatError(this.who, missing, "none");
    return all as Record<R, Data> & Partial<Record<O, Data>>;
  }

  /** An object with any names. */
  record<T>(read: (data: Data) => T): Record<string, T> {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return this.#refuse("an object");
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [name, read(new Data(`${this.who}: ${name}`, each))]),
    );
  }

  list<T>(read: (data: Data) => T): T[] {
    if (!Array.isArray(this.#value)) return this.#refuse("a list");
    return this.#value.map((each, i) => read(new Data(`${this.who}[${i}]`, each)));
  }

  pair(): readonly [Data, Data] {
    const [first, second, ...more] = this.list((data) => data);
    return second === undefined || more.length > 0 ? this.#refuse("a list of 2") : [first, second];
  }

  numbers(count: number): number[] {
    const values = this.list((data) => data.number());
    return values.length === count ? values : this.#refuse(`${count} numbers`);
  }

  number(): number {
    return typeof this.#value === "number" && Number.isFinite(this.#value)
      ? this.#value
      : this.#refuse("a number");
  }

  flag(): boolean {
    return typeof this.#value === "boolean" ? this.#value : this.#refuse("true or false");
  }

  text(): string {
    return typeof this.#value === "string" ? this.#value : this.#refuse("words");
  }

  oneOf<const T extends string>(words: readonly T[]): T {
    return words.find((word) => word === this.#value) ?? this.#refuse(`one of ${words.join(", ")}`);
  }

  orNull<T>(read: (data: Data) => T): T | null {
    return this.#value === null ? null : read(this);
  }

  #refuse(expected: string): never {
    throw new FormatError(this.who, expected, JSON.stringify(this.#value));
  }
}
