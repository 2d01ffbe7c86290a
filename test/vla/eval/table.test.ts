import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { type Column, renderTable } from "../../../vla/eval/table.ts";

const cell = fc.string({ unit: fc.constantFrom(..."abcXYZ0123456789.%_[]"), minLength: 1, maxLength: 20 });

const tables = fc.integer({ min: 1, max: 6 }).chain((n) =>
  fc.record({
    columns: fc.array(fc.record({ title: cell, align: fc.constantFrom<Column["align"]>("left", "right") }), {
      minLength: n,
      maxLength: n,
    }),
    rows: fc.array(fc.array(cell, { minLength: n, maxLength: n }), { maxLength: 8 }),
    totals: fc.array(cell, { minLength: n, maxLength: n }),
  }),
);

describe("renderTable", () => {
  test.prop([tables])("keeps every cell, in order, in lines of one width", ({ columns, rows, totals }) => {
    const lines = renderTable(columns, rows, totals).split("\n");
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    const cells = lines.map((line) => line.trim().split(/ +/));
    expect(cells[0]).toEqual(columns.map((column) => column.title));
    expect(cells.slice(2, -2)).toEqual(rows);
    expect(cells.at(-1)).toEqual(totals);
  });

  test("aligns words left and numbers right", () => {
    const table = renderTable(
      [
        { title: "task", align: "left" },
        { title: "steps", align: "right" },
      ],
      [["push", "7"]],
      ["all tasks", "1234567"],
    );
    expect(table.split("\n")).toEqual([
      "task         steps",
      "---------  -------",
      "push             7",
      "---------  -------",
      "all tasks  1234567",
    ]);
  });

  test("refuses a row with another number of cells", () => {
    expect(() => renderTable([{ title: "task", align: "left" }], [["a", "b"]], ["c"])).toThrow(
      "got 2: a | b",
    );
  });
});
