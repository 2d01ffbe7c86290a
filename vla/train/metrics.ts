import { existsSync } from "node:fs";
import { FormatError, readText, writeFileAtomic } from "../../core/index.ts";
import { appendJsonLine, MOST_TEXT_BYTES, splitLines } from "../json-lines.ts";
import { drawPanels, type Panel, type Series } from "./chart.ts";
import { EventFile } from "./event-file.ts";
import type { RunFolder } from "./run-folder.ts";
import type { Position } from "./state.ts";

/** A line of `metrics.jsonl`: what was measured after update number `step`. Names may be `group/name`. */
export type MetricsLine = {
  /** Of the updates since the last such line, or of an evaluation. */
  readonly kind: "train" | "evaluation";
  readonly step: number;
} & Readonly<Record<string, number | string>>;

/** What a run measures, in three forms: JSON lines, TensorBoard events, and curves. */
export class Metrics implements Disposable {
  readonly #folder: RunFolder;
  readonly #lines: MetricsLine[];
  readonly #events: EventFile;
  /** Lines that the curves on disk show. */
  #drawn = -1;

  /**
   * Takes up a run at a position: what a killed process had measured beyond it will be measured again, and is removed.
   */
  constructor(folder: RunFolder, { step, evaluated }: Pick<Position, "step" | "evaluated">) {
    this.#folder = folder;
    const known = (line: MetricsLine): boolean =>
      line.step < step || (line.step === step && (line.kind === "train" || evaluated));
    this.#lines = readMetrics(folder.metrics).filter(known);
    const text = this.#lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    writeFileAtomic(folder.metrics, text);
    this.#events = new EventFile(folder.path, step);
  }

  add(line: MetricsLine): void {
    appendJsonLine(this.#folder.metrics, line);
    this.#lines.push(line);
    this.#events.scalars(line.step, valuesOf(line));
  }

  /** Draws all curves: a panel for each group of names, a line for each of its members. */
  draw(): void {
    if (this.#drawn === this.#lines.length) return;
    this.#drawn = this.#lines.length;
    const groups = new Map<string, Map<string, [number, number][]>>();
    for (const line of this.#lines) {
      for (const [name, value] of Object.entries(valuesOf(line))) {
        if (NOT_DRAWN.includes(name)) continue;
        const [group] = name.split("/");
        const series = groups.get(group) ?? new Map<string, [number, number][]>();
        groups.set(group, series);
        const points = series.get(name) ?? [];
        series.set(name, points);
        points.push([line.step, value]);
      }
    }
    const panels = [...groups].map(([title, series]): Panel => {
      const lines = [...series].map(
        ([name, points]): Series => ({
          name: name.slice(name.indexOf("/") + 1),
          points,
        }),
      );
      return { title, series: lines };
    });
    if (panels.length > 0) writeFileAtomic(this.#folder.curves, drawPanels(panels));
  }

  [Symbol.dispose](): void {
    this.#events[Symbol.dispose]();
  }
}

/** Grow with the steps, whatever is learnt. */
const NOT_DRAWN: readonly string[] = ["samples", "seconds"];

function valuesOf({ kind: _kind, step: _step, ...values }: MetricsLine): Record<string, number> {
  return values as Record<string, number>;
}

/** The lines of a `metrics.jsonl`; none where there is no such file. @throws FormatError for a line that is no JSON. */
export function readMetrics(path: string): MetricsLine[] {
  if (!existsSync(path)) return [];
  return splitLines(readText(path, MOST_TEXT_BYTES)).lines.map((line, i) => {
    try {
      return JSON.parse(line) as MetricsLine;
    } catch {
      throw new FormatError(`${path}, line ${i + 1}`, "JSON", line.slice(0, 80));
    }
  });
}
