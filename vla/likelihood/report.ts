import { type Column, renderTable } from "../eval/table.ts";
import type { Signal } from "./signals.ts";

const columns: readonly Column[] = [
  { title: "a low log p tells", align: "left" },
  { title: "by", align: "left" },
  { title: "positives", align: "right" },
  { title: "negatives", align: "right" },
  { title: "AUROC [95 %]", align: "right" },
];

const NAMES: Readonly<Record<Signal["tells"], string>> = {
  failure: "that it fails",
  camera: "a moved camera",
  colour: "another colour",
  words: "a wrong instruction",
};

/** All signals, one to a line. 0.5 is what chance tells. */
export function signalTable(signals: readonly Signal[]): string {
  const rows = signals.map(({ tells, by, positives, negatives, auroc, interval: [low, high] }) => [
    NAMES[tells],
    by,
    String(positives),
    String(negatives),
    auroc === null ? "-" : `${auroc.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`,
  ]);
  return renderTable(columns, rows);
}
