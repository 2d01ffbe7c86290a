import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { type CliSchema, helpText, parseCli, UsageError } from "../../cli/index.ts";

const SCHEMA = {
  usage: "npx tsx thing.ts IN [OUT]",
  description: "Does a thing.",
  positionals: { IN: "what to read", "OUT?": "what to write" },
  options: {
    dtype: { type: "string", choices: ["f32", "bf16"], default: "f32", help: "element type" },
    name: { type: "string", help: "any text" },
    seed: { type: "integer", least: 0, default: 7, help: "seed of the run" },
    noise: { type: "number", help: "how much" },
    steps: { type: "integer", least: 1, help: "how many" },
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

  const given = parse(
    "--dtype=bf16",
    "a",
    "--seed",
    "0",
    "--steps=3",
    "b",
    "--list",
    "--name",
    "x y",
    "--noise=-0.25",
  );
  expect(given).toEqual({
    dtype: "bf16",
    name: "x y",
    seed: 0,
    steps: 3,
    noise: -0.25,
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
    ...["one", "", "Infinity", "NaN", "0x10", "0b1", "1e3", " 5 ", "1.5", "1_000", "4294967296", "٣"].map(
      (text): [string[], RegExp] => [
        ["a", "--seed", text],
        new RegExp(`^--seed: expected a whole number from 0 to 4294967295, got "${text}"$`),
      ],
    ),
    [["a", "--seed=-3"], /^--seed: expected a whole number from 0 /],
    ...["some", "", "Infinity", "0x10", "1e3", " 5 ", ".5", "9".repeat(400)].map(
      (text): [string[], RegExp] => [
        ["a", "--noise", text],
        new RegExp(`^--noise: expected a number, got "${text}"$`),
      ],
    ),
    [["a", "--steps", "0"], /^--steps: expected a whole number from 1 /],
    [["a", "--seed", "1", "--seed", "2"], /^--seed: given twice/],
    [["a", "--seed", "1", "--seed=1"], /^--seed: given twice/],
    [["a", "--list", "--list"], /^--list: given twice/],
    [["a", "--name", ""], /^--name: expected a value, got ""$/],
    [["a", "--dtype", ""], /^--dtype: expected f32, bf16, got ""$/],
    [[""], /^expected a word for each argument, got ""/],
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
        `import { runMain, UsageError } from "./cli/index.ts"; await runMain(() => { ${body} });`,
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
      "  --noise N         how much",
      "  --steps N         how many",
      "  --list            only list",
      "  --help            print this and exit",
      "",
    ].join("\n"),
  );
});

describe("runMain", () => {
  /** A script of ours whose output goes to a shell's redirection. */
  const run = (body: string, redirection: string) => {
    const script = `import { parseCli, runMain } from "./cli/index.ts"; await runMain(async () => { ${body} });`;
    const node = `"${process.execPath}" --import tsx --input-type=module -e '${script}'`;
    return spawnSync("bash", ["--norc", "-c", `set -o pipefail; ${node} ${redirection}`], {
      cwd: new URL("../..", import.meta.url),
      encoding: "utf8",
    });
  };
  /** Writes, waits until whoever reads has had time to leave, writes again. */
  const talk =
    'for (let i = 0; i < 50; i++) { console.log("line"); await new Promise((go) => setTimeout(go, 20)); }';
  const full = "Error: stdout cannot be written: ENOSPC: no space left on device, write\n";

  test("ends quietly when its reader leaves, with the exit code of SIGPIPE", () => {
    expect(run(talk, "| head -1")).toMatchObject({ status: 141, stdout: "line\n", stderr: "" });
  });

  test("keeps the exit code of a failure that it knows of when its reader leaves", () => {
    expect(run(`process.exitCode = 1; ${talk}`, "| head -1")).toMatchObject({ status: 1, stderr: "" });
  });

  test.each([
    ["console.log", 'console.log("line")'],
    ["a write", 'process.stdout.write("line")'],
    ["help", 'parseCli({ usage: "", description: "", options: {} }, ["--help"])'],
  ])("tells in one line that stdout is full: %s", (_, body) => {
    expect(run(body, "> /dev/full")).toMatchObject({ status: 1, stderr: full });
  });

  test("tells of anything that is thrown", () => {
    const stderr = "Error: [Object: null prototype] {}\n";
    expect(run("throw Object.create(null);", "")).toMatchObject({ status: 1, stderr });
  });

  test("prints help and exits with 0", () => {
    const help =
      'parseCli({ usage: "thing", description: "Does.", options: {} }, ["--help"]); process.exit(9)';
    const { status, stdout, stderr } = run(help, "");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^Usage: thing\n\nDoes\.\n/);
  });

  test("an unwritable stderr changes no exit code", () => {
    expect(run('throw new Error("no")', "2> /dev/full").status).toBe(1);
    expect(run('console.error("so"); console.log("line")', "2> /dev/full")).toMatchObject({
      status: 0,
      stdout: "line\n",
    });
  });
});
