import { inspect, parseArgs } from "node:util";
import { printable } from "../core/formats/printable.ts";
import { callOf } from "./own-modules.ts";

export { type Command, quoteWord, showCommand } from "./command.ts";
export { callOf, nodeArguments, ownModule, startThread } from "./own-modules.ts";
export { importUserModule } from "./user-module.ts";

import { UsageError } from "./usage-error.ts";

export { UsageError } from "./usage-error.ts";

/** What a script accepts: enough to parse its arguments and to print its help. */
export interface CliSchema {
  /** How to call it, e.g. "npx tsx vla/eval.ts [options]"; where it is packed, its help says "npx nina-ts eval". */
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
  | { readonly type: "number"; readonly default?: number; readonly help: string }
  /** A whole number from `least` to 2^32 − 1, the largest seed. */
  | { readonly type: "integer"; readonly least: number; readonly default?: number; readonly help: string };

/** The parsed arguments: booleans always, other options undefined only where they have no default. */
export type Values<S extends CliSchema> = {
  readonly [K in keyof S["options"]]: OptionValue<S["options"][K]>;
} & { readonly positionals: PositionalValues<S["positionals"]> };

type OptionValue<O extends CliOption> = O extends { type: "boolean" }
  ? boolean
  : O extends { default: unknown }
    ? RawValue<O>
    : RawValue<O> | undefined;

type RawValue<O extends CliOption> = O extends { type: "number" | "integer" }
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

/** The caller asked for help: no mistake. `runMain` prints the message and ends with exit code 0. */
class HelpRequest extends Error {}

/** Exit code of a command whose reader has left, as in `… | head -1`: what a shell reports for SIGPIPE. */
const READER_LEFT = 141;

/**
 * Parses `argv` (without node and script), inside of `runMain`, which prints the schema for `--help`. A flag or value
 * outside the schema, or a flag given twice, is a UsageError. Write schemas `as const satisfies CliSchema`, so that
 * choices become literal types.
 */
export function parseCli<const S extends CliSchema>(schema: S, argv: readonly string[]): Values<S> {
  if (argv.includes("--help")) throw new HelpRequest(helpText(schema));
  const { values, positionals } = tokenize(schema, argv);
  const parsed: Record<string, unknown> = { positionals: readPositionals(schema, positionals) };
  for (const [name, option] of Object.entries(schema.options))
    parsed[name] = readOption(name, option, values[name]);
  return parsed as Values<S>;
}

/**
 * Runs a script's story; an error becomes one line on stderr and exit code 2 (usage) or 1 (anything else). A message
 * that lists things has a line for each; what a terminal would obey is escaped, and long ones are cut. When nobody
 * reads stdout any more the script ends at once, quietly; when stdout cannot be written, as on a full disk, with a line.
 */
export async function runMain(main: () => void | Promise<void>): Promise<void> {
  process.stdout.on("error", endWithoutStdout);
  // Whoever closes stderr wants no messages; the exit code still tells.
  process.stderr.on("error", () => {});
  try {
    await main();
  } catch (error) {
    if (error instanceof HelpRequest) {
      process.stdout.write(error.message);
      return;
    }
    const { name, message } = error instanceof Error ? error : { name: "Error", message: inspect(error) };
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

/** A failure that is known already keeps its exit code. */
function endWithoutStdout({ code, message }: NodeJS.ErrnoException): never {
  if (code === "EPIPE") process.exit(process.exitCode || READER_LEFT);
  process.stderr.write(`Error: stdout cannot be written: ${message}\n`);
  process.exit(1);
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
  const text = `Usage: ${schema.usage}\n\n${schema.description}\n\n${table}`;
  return text.replaceAll(/npx tsx (\S+\.ts)/g, (_, script) => callOf(script));
}

function hint(option: Exclude<CliOption, { type: "boolean" }>): string {
  return option.type === "string" ? (option.choices?.join("|") ?? "TEXT") : "N";
}

function tokenize(schema: CliSchema, argv: readonly string[]) {
  const options: Record<string, { type: "boolean" | "string" }> = {};
  for (const [name, { type }] of Object.entries(schema.options)) {
    options[name] = { type: type === "boolean" ? "boolean" : "string" };
  }
  try {
    const parsed = parseArgs({
      args: [...argv],
      options,
      allowPositionals: true,
      strict: true,
      tokens: true,
    });
    const flags = parsed.tokens.flatMap((token) => (token.kind === "option" ? [token.name] : []));
    const twice = flags.find((name, i) => flags.indexOf(name) < i);
    if (twice !== undefined) throw new Error(`--${twice}: given twice`);
    return parsed;
  } catch (error) {
    const [reason] = (error as Error).message.split(". To specify a positional");
    throw new UsageError(`${reason.replaceAll("\n", " ")} (see --help)`);
  }
}

function readOption(name: string, option: CliOption, given: unknown): unknown {
  if (option.type === "boolean") return given === true;
  if (given === undefined) return option.default;
  const text = String(given);
  const refuse = (expected: string): never => {
    throw new UsageError(`--${name}: expected ${expected}, got ${JSON.stringify(text)}`);
  };
  if (option.type === "string") {
    if (option.choices && !option.choices.includes(text)) refuse(option.choices.join(", "));
    return text === "" ? refuse("a value") : text;
  }
  // No other notation: what 0x10, 1e3 and " 5 " were to mean is not certain.
  const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (option.type === "integer" && !(/^\d+$/.test(text) && value >= option.least && value < 2 ** 32))
    refuse(`a whole number from ${option.least} to ${2 ** 32 - 1}`);
  return Number.isFinite(value) ? value : refuse("a number");
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
  if (words.includes("")) throw new UsageError(`expected a word for each argument, got "" (see --help)`);
  return parsed;
}
