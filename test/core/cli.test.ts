import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { type CliSchema, helpText, parseCli, UsageError } from "../../core/cli.ts";

const SCHEMA = {
  usage: "npx tsx thing.ts IN [OUT]",
  description: "Does a thing.",
  positionals: { IN: "what to read", "OUT?": "what to write" },
  options: {
    dtype: { type: "string", choices: ["f32", "bf16"], default: "f32", help: "element type" },
    name: { type: "string", help: "any text" },
    seed: { type: "number", default: 7, help: "seed of the run" },
    steps: { type: "number", help: "how many" },
    list: { type: "boolean", help: "only list" },
  },
} as const satisfies CliSchema;

const parse = (...argv: string[]) => parseCli(SCHEMA, argv);

test("values come with their types, defaults filled in", () => {
  const args = parse("a");
  const dtype: "f32" | "bf16" = args.dtype;
  const seed: number = args.seed;
  const steps: number | undefined = args.steps;
  const output: string | undefined = args.positionals.OUT;
  expect([dtype, args.name, seed, steps, args.list]).toEqual(["f32", undefined, 7, undefined, false]);
  expect([args.positionals.IN, output]).toEqual(["a", undefined]);

  const given = parse("--dtype=bf16", "a", "--seed", "0", "--steps=-3", "b", "--list", "--name", "x y");
  expect(given).toEqual({
    dtype: "bf16",
    name: "x y",
    seed: 0,
    steps: -3,
    list: true,
    positionals: { IN: "a", OUT: "b" },
  });
});

test("a last positional may take all words that remain", () => {
  const schema = { ...SCHEMA, positionals: { "FILES...": "files" } } as const satisfies CliSchema;
  const files: readonly string[] = parseCli(schema, ["a", "b"]).positionals.FILES;
  expect(files).toEqual(["a", "b"]);
});

describe("mistakes are told in one line", () => {
  test.each<[string[], RegExp]>([
    [[], /^missing IN \(see --help\)$/],
    [["a", "b", "c"], /^unexpected argument "c"/],
    [["a", "--sed", "1"], /^Unknown option '--sed' \(see --help\)$/],
    [["a", "--seed", "one"], /^--seed: expected a number, got "one"$/],
    [["a", "--seed", ""], /^--seed: expected a number, got ""$/],
    [["a", "--seed", "Infinity"], /^--seed: expected a number/],
    [["a", "--seed"], /^Option '--seed <value>' argument missing/],
    [["a", "--seed", "-3"], /use '--seed=-XYZ'/],
    [["a", "--dtype", "f64"], /^--dtype: expected f32, bf16, got "f64"$/],
    [["a", "--list=no"], /^Option '--list' does not take an argument/],
  ])("%j", (argv, message) => {
    expect(() => parse(...argv)).toThrow(UsageError);
    expect(() => parse(...argv)).toThrow(message);
    expect(() => parse(...argv)).not.toThrow(/\n/);
  });
});

describe("an error ends a script with", () => {
  const run = (body: string) =>
    spawnSync(
      process.execPath,
      [
        "--import",
        "tsx",
        "--input-type=module",
        "--eval",
        `import { runMain, UsageError } from "./core/cli.ts"; await runMain(() => { ${body} });`,
      ],
      { encoding: "utf8" },
    );

  test("one line, and exit code 2 for the caller's mistakes, 1 for others", () => {
    expect(run('throw new UsageError("no such thing")')).toMatchObject({
      status: 2,
      stderr: "UsageError: no such thing\n",
    });
    expect(run('throw new Error("broken")')).toMatchObject({ status: 1, stderr: "Error: broken\n" });
  });

  test("lists line by line, and nothing that a terminal obeys", () => {
    const { stderr } = run(String.raw`throw new Error("two:\n  a\x1b[2J\r\n  b")`);
    expect(stderr).toBe("Error: two:\n  a\\u{1b}[2J\\u{d}\n  b\n");
  });

  test("as much of a long message as can be read", () => {
    const { stderr } = run(String.raw`throw new Error("x".repeat(1e7) + "\n".repeat(1e6))`);
    expect(stderr).toMatch(/^Error: x+… \(10000007 characters\)\n{50}… \(999951 more lines\)\n$/);
    expect(stderr.length).toBeLessThan(3000);
  });
});

test("the help names everything", () => {
  expect(helpText(SCHEMA)).toBe(
    [
      "Usage: npx tsx thing.ts IN [OUT]",
      "",
      "Does a thing.",
      "",
      "  IN                what to read",
      "  OUT?              what to write",
      "  --dtype f32|bf16  element type (default f32)",
      "  --name TEXT       any text",
      "  --seed N          seed of the run (default 7)",
      "  --steps N         how many",
      "  --list            only list",
      "  --help            print this and exit",
      "",
    ].join("\n"),
  );
});
