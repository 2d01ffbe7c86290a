import type { Column } from "../eval/table.ts";

/** A table in Markdown that can be read as text as well: all lines have the same width. */
export function markdownTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const titles = columns.map(({ title }) => title);
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = titles.map((title, i) => Math.max(3, title.length, ...cells.map((row) => row[i].length)));
  const line = (row: readonly string[]): string => {
    const padded = row.map((cell, i) =>
      columns[i].align === "left" ? cell.padEnd(widths[i]) : cell.padStart(widths[i]),
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = columns.map(({ align }, i) =>
    align === "left" ? "-".repeat(widths[i]) : `${"-".repeat(widths[i] - 1)}:`,
  );
  return [line(titles), line(rule), ...cells.map(line)].join("\n");
}
