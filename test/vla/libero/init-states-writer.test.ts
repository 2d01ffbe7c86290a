import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect, it } from "vitest";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { encodeInitStates, writeInitStates } from "../../../vla/libero/init-states-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "init-states-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("writeInitStates", () => {
  // Widths beyond 255 take another form of integer in the pickle.
  const matrices = fc
    .oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(255, 256, 300))
    .chain((width) =>
      fc.array(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: width, maxLength: width }),
        { minLength: 1, maxLength: 4 },
      ),
    );

  test.prop([matrices], { numRuns: 50 })("writes what the reader reads back, bit for bit", (rows) => {
    const path = join(folder, "a.pruned_init");
    writeInitStates(path, rows);
    expect(readInitStates(path)).toEqual(rows.map((row) => Float64Array.from(row)));
    expect(readdirSync(folder)).toEqual(["a.pruned_init"]);
  });

  it("refuses rows that are no states", () => {
    expect(() => encodeInitStates([])).toThrow(/at least one row/);
    expect(() => encodeInitStates([[1, 2], [3]])).toThrow(/rows of 2 numbers, found 1 in row 1/);
    expect(() => encodeInitStates([new Float64Array(2 ** 24 + 1)])).toThrow(
      /at most 16777216 numbers, found 16777217/,
    );
    expect(() => encodeInitStates([[1, Number.NaN]])).toThrow(/finite numbers, found NaN at row 0, column 1/);
  });
});

const root = process.env.LIBERO_ROOT;
describe.skipIf(!root)("writeInitStates on LIBERO's own files (needs LIBERO_ROOT)", () => {
  it("makes the same bytes from the same rows", () => {
    const suite = join(root!, "libero", "libero", "init_files", "libero_goal");
    for (const file of readdirSync(suite).filter((name) => name.endsWith(".pruned_init"))) {
      const path = join(suite, file);
      expect(encodeInitStates(readInitStates(path)).equals(readFileSync(path)), file).toBe(true);
    }
  });
});
