import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { appendJsonLine, copyLines, mendLastLine, readJsonLines, splitLines } from "../../vla/json-lines.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-lines-"));
afterAll(() => rmSync(folder, { recursive: true }));

const records = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 4 });

describe("splitLines", () => {
  test.prop([records, fc.nat()])(
    "finds all lines that were whole wherever the file was cut",
    (values, cut) => {
      const texts = values.map((value) => `${JSON.stringify(value)}\n`);
      const whole = texts.join("");
      const end = cut % (whole.length + 1);
      const { lines, torn } = splitLines(whole.slice(0, end));
      // A line is whole as soon as only its newline is missing.
      let length = 0;
      const finished = texts.filter((text) => {
        length += text.length;
        return length - 1 <= end;
      });
      expect(lines.map((line) => JSON.parse(line))).toEqual(finished.map((text) => JSON.parse(text)));
      expect(lines.join("\n").length + torn.length).toBeLessThanOrEqual(end);
      expect(torn === "").toBe(end === 0 || whole[end - 1] === "\n" || whole[end] === "\n");
    },
  );

  test("what a power cut leaves is torn too", () => {
    expect(splitLines(`{"a":1}\n${"\0".repeat(3)}`)).toEqual({ lines: ['{"a":1}'], torn: "\0\0\0" });
    expect(splitLines("")).toEqual({ lines: [], torn: "" });
    expect(splitLines("\n \n ")).toEqual({ lines: ["", " "], torn: "" });
  });
});

describe("readJsonLines", () => {
  test.prop([records, fc.nat()])("reads what splitLines finds, wherever the file was cut", (values, cut) => {
    const path = join(folder, "cut.jsonl");
    const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
    const kept = bytes.subarray(0, cut % (bytes.length + 1));
    writeFileSync(path, kept);
    const { lines } = splitLines(kept.toString());
    expect(Array.from(readJsonLines(path), ({ value }) => value)).toEqual(
      lines.map((line) => JSON.parse(line)),
    );
  });

  test.prop([records, fc.nat()])("what is torn is taken away, and lines are copied whole", (values, cut) => {
    const path = join(folder, "torn.jsonl");
    const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
    writeFileSync(path, bytes.subarray(0, cut % (bytes.length + 1)));
    const { lines, torn } = splitLines(readFileSync(path, "utf8"));
    const whole = lines.map((line) => `${line}\n`).join("");
    expect(Buffer.concat([...copyLines(readJsonLines(path), path)]).toString()).toBe(whole);
    expect(mendLastLine(path)).toBe(torn);
    expect(readFileSync(path, "utf8")).toBe(whole);
    expect(mendLastLine(path)).toBe("");
  });

  test("lines may be longer than what is read at once", () => {
    const path = join(folder, "long.jsonl");
    const values = [1, "é".repeat(1.2e6), { a: "b".repeat(2 ** 20) }, 4];
    writeFileSync(path, values.map((value) => JSON.stringify(value)).join("\n"));
    expect(Array.from(readJsonLines(path), ({ value }) => value)).toEqual(values);
  });
});

describe("appendJsonLine", () => {
  test("adds whole lines", () => {
    const path = join(folder, "lines.jsonl");
    appendJsonLine(path, { a: "x\ny" });
    appendJsonLine(path, [1]);
    expect(readFileSync(path, "utf8")).toBe('{"a":"x\\ny"}\n[1]\n');
  });

  test("takes back what it wrote of a line that did not fit", () => {
    const path = join(folder, "full.jsonl");
    const script = `
      import { appendJsonLine } from "./vla/json-lines.ts";
      appendJsonLine(process.argv[1], "a".repeat(700));
      try { appendJsonLine(process.argv[1], "b".repeat(700)); } catch (error) { console.log(error.message); }
      appendJsonLine(process.argv[1], "c");`;
    // Files of at most 1 KiB: the second line is written up to there, as on a disk that fills up.
    const node = [process.execPath, "--import", "tsx", "--input-type=module", "-e", script, path];
    const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", 'ulimit -f 1; "$@"', "bash", ...node], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(stdout).toBe(`${path}: cannot be written: EFBIG: file too large, write\n`);
    expect(readFileSync(path, "utf8")).toBe(`"${"a".repeat(700)}"\n"c"\n`);
  });

  test("names the file that it cannot write", () => {
    expect(() => appendJsonLine(folder, 1)).toThrow(`${folder}: cannot be written: EISDIR`);
  });
});
