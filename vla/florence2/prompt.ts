/**
 * The sentence around a task instruction, as FLOWER's and NinA's LIBERO and CALVIN configurations write it
 * (prompt style "default"). The two spaces before "Task" are theirs, and trained in.
 */
const TEMPLATE = "Agent Type: 1-arm Franka Panda, Action Space: Delta End-Effector,  Task Instruction: ";

/** What Python's `str.strip` takes away; JavaScript's `trim` differs (U+001C to U+001F, U+0085, U+FEFF). */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const ENDS = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");

/** What the encoder reads: the published sentence around the instruction, or the instruction alone. */
export type PromptForm = "template" | "instruction";

/**
 * Instruction → prompt text. The whole is stripped, split at newlines, each line stripped, and joined with single
 * spaces: a newline in the instruction becomes a space, spaces inside a line stay, an empty one leaves "Instruction:".
 */
export function promptFor(instruction: string, form: PromptForm = "template"): string {
  const lines = strip(form === "template" ? TEMPLATE + instruction : instruction).split("\n");
  return lines.map(strip).join(" ");
}

const strip = (text: string): string => text.replace(ENDS, "");
