import { join } from "node:path";
import { writeFileAtomic } from "../../core/index.ts";
import { Media } from "./media.ts";
import { reportPage } from "./page.ts";
import { readRunFolder } from "./run-folder.ts";

/** The name of a report in the folder of its run. */
export const REPORT = "report.html";

/** Pictures that a page holds itself, bytes: a mail can carry it. Others are linked. */
const ROOM = 16 * 2 ** 20;

/**
 * Writes what is in a run's folder as a page. @throws Error for a folder that is not a run's, or a file that cannot be
 * written.
 */
export function writeReport(folder: string, page: string): void {
  writeFileAtomic(page, reportPage(readRunFolder(folder), new Media(folder, page, ROOM)));
}

/** The same at the end of a run, whose results are kept already: what goes wrong here is only said. */
export function tryReport(folder: string): void {
  try {
    writeReport(folder, join(folder, REPORT));
  } catch (error) {
    console.error(`no report: ${(error as Error).message}`);
  }
}
