import { parseArgs } from "node:util";
import { printable } from "./formats/printable.ts";

/** What a script accepts: enough to parse its arguments and to print its help. */
export interface CliSchema {
  /** How to call it, e.g. "npx tsx vla/eval.ts [options]". */
  readonly usage: string;
  /** One or two sentences on what it does. */
  readonly description: string;
  /** Required words in order; one that ends in "?" may be left out, one that ends in "..." takes all that remain. */
  readonly positionals?: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, CliOption>>;
}

export type CliOption =
  | { readonly type: "boolean"; readonly help: string }
  | {
      readonly type: "string";
      readonly default?: string;
      readonly choices?: readonly string[];
      readonly help: string;
    }
  | { readonly type: "number"; readonly default?: number; readonly help: string };

/** The parsed arguments: booleans always, other options undefined only where they have no default. */
export type Values<S extends CliSchema> = {
  readonly [K in keyof S["options"]]: OptionValue<S["options"][K]>;
} & { readonly positionals: PositionalValues<S["positionals"]> };

type OptionValue<O extends CliOption> = O extends { type: "boolean" }
  ? boolean
  : O extends { default: unknown }
    ? RawValue<O>
    : RawValue<O> | undefined;

type RawValue<O extends CliOption> = O extends { type: "number" }
  ? number
  : O extends { choices: readonly (infer C)[] }
    ? C
    : string;

type PositionalValues<P> = {
  readonly [K in keyof P as K extends `${infer N}?` | `${infer N}...` ? N : K]: K extends `${string}?`
    ? string | undefined
    : K extends `${string}...`
      ? readonly string[]
      : string;
};

/** The caller's mistake, told in one line; scripts leave with exit code 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/**
 * Parses `argv` (without node and script). `--help` prints the schema and exits 0; a flag or value outside the schema
 * is a UsageError. Write schemas `as const satisfies CliSchema`, so that choices become literal types.
 */
export function parseCli<const S extends CliSchema>(schema: S, argv: readonly string[]): Values<S> {
  if (argv.includes("--help")) {
    process.stdout.write(helpText(schema));
    process.exit(0);
  }
  const { values, positionals } = tokenize(schema, argv);
  const parsed: Record<string, unknown> = { positionals: readPositionals(schema, positionals) };
  for (const [name, option] of Object.entries(schema.options))
    parsed[name] = readOption(name, option, values[name]);
  return parsed as Values<S>;
}

/**
 * Runs a script's story; an error becomes one line on stderr and exit code 2 (usage) or 1 (anything else). A message
 * that lists things has a line for each; what a terminal would obey is escaped, and long ones are cut.
 */
export async function runMain(main: () => void | Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
    process.stderr.write(`${showMessage(`${name}: ${message}`)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

const MAX_LINES = 50;
const MAX_LINE = 2000;

function showMessage(message: string): string {
  const lines = message.split("\n");
  const shown = lines.slice(0, MAX_LINES).map((line) => printable(line, MAX_LINE));
  if (lines.length > MAX_LINES) shown.push(`… (${lines.length - MAX_LINES} more lines)`);
  return shown.join("\n");
}

export function helpText(schema: CliSchema): string {
  const rows = Object.entries(schema.positionals ?? {}).map(([name, help]) => [name, help]);
  for (const [name, option] of Object.entries(schema.options)) {
    const value = option.type === "boolean" ? "" : ` ${hint(option)}`;
    const fallback =
      "default" in option && option.default !== undefined ? ` (default ${option.default})` : "";
    rows.push([`--${name}${value}`, option.help + fallback]);
  }
  rows.push(["--help", "print this and exit"]);
  const width = Math.max(...rows.map(([left]) => left.length));
  const table = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
  return `Usage: ${schema.usage}\n\n${schema.description}\n\n${table}`;
}

function hint(option: Exclude<CliOption, { type: "boolean" }>): string {
  return option.type === "number" ? "N" : (option.choices?.join("|") ?? "TEXT");
}

function tokenize(schema: CliSchema, argv: readonly string[]) {
  const options: Record<string, { type: "boolean" | "string" }> = {};
  for (const [name, { type }] of Object.entries(schema.options)) {
    options[name] = { type: type === "boolean" ? "boolean" : "string" };
  }
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    const [reason] = (error as Error).message.split(". To specify a positional");
    throw new UsageError(`${reason.replaceAll("\n", " ")} (see --help)`);
  }
}

function readOption(name: string, option: CliOption, text: unknown): unknown {
  if (option.type === "boolean") return text === true;
  if (text === undefined) return option.default;
  if (option.type === "number") {
    const value = Number(text);
    if (String(text).trim() === "" || !Number.isFinite(value)) {
      throw new UsageError(`--${name}: expected a number, got ${JSON.stringify(text)}`);
    }
    return value;
  }
  if (option.choices !== undefined && !option.choices.includes(String(text))) {
    throw new UsageError(`--${name}: expected ${option.choices.join(", ")}, got ${JSON.stringify(text)}`);
  }
  return text;
}

function readPositionals(schema: CliSchema, words: readonly string[]): Record<string, unknown> {
  const left = [...words];
  const parsed: Record<string, unknown> = {};
  for (const key of Object.keys(schema.positionals ?? {})) {
    if (key.endsWith("...")) parsed[key.slice(0, -3)] = left.splice(0);
    else if (key.endsWith("?")) parsed[key.slice(0, -1)] = left.shift();
    else if (left.length > 0) parsed[key] = left.shift();
    else throw new UsageError(`missing ${key} (see --help)`);
  }
  if (left.length > 0) throw new UsageError(`unexpected argument ${JSON.stringify(left[0])} (see --help)`);
  return parsed;
}
