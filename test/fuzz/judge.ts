/** What an input may take, and what counts as a fault of the reader. */
import { basename, join } from "node:path";
import { BrokenLaw, type Read } from "./reader.ts";

export interface Limits {
  /** For one input. */
  readonly milliseconds: number;
  /** By which one input may make the process grow. */
  readonly bytes: number;
}

export const LIMITS: Limits = { milliseconds: 2000, bytes: 500 * 2 ** 20 };

/** Characters of an error message. */
const MOST_MESSAGE = 2000;

export interface Verdict {
  readonly outcome: "accepted" | "refused" | "failed";
  /** What was taken in, what the error said, or what is wrong. */
  readonly text: string;
  /** Equal for inputs that took the same way: what was taken in, without numbers, or where it was refused and why. */
  readonly shape: string;
  readonly milliseconds: number;
  /** By which the process's largest size grew. */
  readonly grown: number;
}

/** Errors of the engine: a reader that lets one out has not looked at its input. */
const ENGINE_ERRORS = /^(Type|Range|Reference|Syntax|URI|Eval|Runtime|Compile|Link|Internal|Aggregate)Error$/;

/** The same, in the words of another error that passes it on. */
const ENGINE_WORDS =
  /Cannot (read|set) propert|Cannot (destructure|convert|mix|access)|is not (a function|iterable|defined|a constructor)|Maximum call stack|Invalid (array|typed array|string|count|regular|time) |allocation failed|out of memory|out of bounds|memory access|unreachable/;

/** But for the line breaks before the items of a list. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/**
 * Reads the input that lies at `file` of the reader's folder once, and says what came of it. Only what returns at all
 * is judged here: see `session.ts`.
 */
export async function judge(
  read: Read,
  folder: string,
  file: string,
  limits: Limits = LIMITS,
): Promise<Verdict> {
  const size = process.memoryUsage.rss();
  const peak = process.resourceUsage().maxRSS;
  const processor = process.cpuUsage();
  const start = performance.now();
  let verdict: Pick<Verdict, "outcome" | "text" | "shape">;
  try {
    const text = await read(join(folder, file));
    verdict =
      text === null
        ? { outcome: "refused", text: "counts as absent", shape: "absent" }
        : { outcome: "accepted", text, shape: shapeOf(text) };
  } catch (error) {
    const text = messageOf(error);
    const fault = faultOf(error, text, folder, file);
    const place = placeOf(error);
    verdict = fault
      ? { outcome: "failed", text: `${fault}: ${text}`, shape: `${fault} ${place}` }
      : { outcome: "refused", text, shape: `refused ${place}` };
  }
  const milliseconds = performance.now() - start;
  const { maxRSS } = process.resourceUsage();
  const grown = maxRSS > peak ? Math.max(0, 1024 * maxRSS - size) : 0;
  const cost = { milliseconds, grown };
  if (verdict.outcome === "failed") return { ...verdict, ...cost };
  if (grown > limits.bytes) {
    const text = `took ${Math.round(grown / 2 ** 20)} MB: ${verdict.text}`;
    return { outcome: "failed", text, shape: `memory ${verdict.shape}`, ...cost };
  }
  // On a busy machine time passes without work: only both clocks together say that the reader was slow.
  const { user, system } = process.cpuUsage(processor);
  if (milliseconds > limits.milliseconds && (user + system) / 1000 > limits.milliseconds) {
    const text = `took ${Math.round(milliseconds)} ms: ${verdict.text}`;
    return { outcome: "failed", text, shape: `slow ${verdict.shape}`, ...cost };
  }
  return { ...verdict, ...cost };
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return `threw ${typeof error} ${String(error)}`;
}

/**
 * What is wrong with an error as an answer; null for a good one: of a type of ours or plain, short, naming the file.
 */
function faultOf(error: unknown, text: string, folder: string, file: string): string | null {
  if (error instanceof BrokenLaw) return "broken law";
  if (!(error instanceof Error)) return "no error was thrown, but something else";
  if (ENGINE_ERRORS.test(error.name) || ENGINE_ERRORS.test(error.constructor.name))
    return "error of the engine";
  const { message } = error;
  if (message === "") return "error without a message";
  if (message.length > MOST_MESSAGE) return "message too long";
  if (ENGINE_WORDS.test(message)) return "words of the engine";
  if (UNPRINTABLE.test(message.replaceAll("\n  ", ""))) return "message with control characters";
  // What is wrong with one file of several may show in another.
  if (!message.includes(basename(file)) && !message.includes(folder)) return "message without a file's name";
  return text.includes("[object Object]") ? "message that shows an object as [object Object]" : null;
}

/** Where in our code an error arose, and the error that it passes on: up to three callers, innermost first. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const frames = (error.stack ?? "").split("\n").flatMap((line) => line.match(OUR_FRAME)?.[1] ?? []);
  // How deep a recursion got is chance.
  const place = error.message.startsWith("Maximum call stack")
    ? frames[0]?.split(":")[0]
    : frames.slice(0, 3).join(" < ");
  return error.cause === undefined ? `${place}` : `${place}, cause ${placeOf(error.cause)}`;
}

const OUR_FRAME = /^ +at (?!.*node_modules)(?!.*test\/fuzz\/\w+\.ts).*?([^/\\]+\.ts:\d+:\d+)\)?$/;

/** Words on what was taken in, without numbers. */
const shapeOf = (text: string): string => text.replace(/\d+/g, "#").slice(0, 200);
