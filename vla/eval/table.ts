/** One column: its heading, and whether its cells are words (left) or numbers (right). */
export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/**
 * Plain-text table: a heading, a rule, one line per row, and totals, if any, under a second rule. All lines have the
 * same width.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  totals?: readonly string[],
): string {
  const all = totals ? [...rows, totals] : rows;
  for (const row of all)
    if (row.length !== columns.length)
      throw new Error(
        `renderTable: expected ${columns.length} cells in each row, got ${row.length}: ${row.join(" | ")}`,
      );

  const heading = columns.map((column) => column.title);
  const widths = columns.map((_, i) => Math.max(...[heading, ...all].map((row) => row[i].length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (columns[i].align === "left" ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ");
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [line(heading), rule, ...rows.map(line), ...(totals ? [rule, line(totals)] : [])].join("\n");
}
