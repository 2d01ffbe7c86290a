import { callOf } from "./own-modules.ts";

/** A program of this project and its arguments. */
export interface Command {
  /** Below the project's folder. */
  readonly script: string;
  readonly args: readonly string[];
}

/** A command as one types it. */
export const showCommand = ({ script, args }: Command): string =>
  [callOf(script), ...args.map(quoteWord)].join(" ");

/** A word as a shell takes it for one. */
export const quoteWord = (word: string): string =>
  /^[\w./:=,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
