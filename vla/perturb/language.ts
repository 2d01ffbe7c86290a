import { readFileSync } from "node:fs";
import { EnvError } from "../libero/env-error.ts";
import type { Mt19937 } from "../libero/mt19937.ts";
import type { Level } from "./dimensions.ts";

/** What is said in place of an instruction, by level. */
export const LANGUAGE_KINDS = ["paraphrase", "synonyms", "shortened", "other task", "nonsense"] as const;
export type LanguageKind = (typeof LANGUAGE_KINDS)[number];

/** What was said. */
export interface LanguageChange {
  readonly kind: LanguageKind;
  readonly instruction: string;
}

interface Table {
  /** What an instruction looks like, and other ways to say it; the first that fits counts. */
  readonly paraphrases: readonly (readonly [pattern: string, ways: readonly string[]])[];
  /** Words, and others for them. */
  readonly synonyms: Readonly<Record<string, readonly string[]>>;
  /** Words that a short instruction does without. */
  readonly dropped: readonly string[];
  readonly nonsense: readonly string[];
}

/** Written by hand: no model has a say in it. LIBERO-plus and LIBERO-PRO have theirs rewritten by language models. */
const TABLE: Table = JSON.parse(readFileSync(new URL("language.json", import.meta.url), "utf8"));

/** Words of a nonsense instruction. */
const NONSENSE_WORDS = 6;

/**
 * Says something else: at level 1 to 3 the same in other words, in other names of things, in fewer words; at 4 what
 * another task asks for; at 5 words without a meaning.
 *
 * @param others instructions of other tasks, for level 4.
 * @throws EnvError where there is none
 */
export function perturbInstruction(
  instruction: string,
  others: readonly string[],
  level: Level,
  draws: Mt19937,
): LanguageChange {
  const kind = LANGUAGE_KINDS[level - 1];
  const say = {
    paraphrase: () => paraphrase(instruction, draws),
    synonyms: () => replaceWords(instruction, draws),
    shortened: () => shorten(instruction),
    "other task": () => {
      if (others.length === 0)
        throw new EnvError("language:4", `an instruction besides "${instruction}"`, "a suite of one task");
      return pick(others, draws);
    },
    nonsense: () => Array.from({ length: NONSENSE_WORDS }, () => pick(TABLE.nonsense, draws)).join(" "),
  }[kind];
  return { kind, instruction: say() };
}

const pick = <T>(from: readonly T[], draws: Mt19937): T => from[draws.integer(from.length)];

/** The last pattern of the table fits everything. */
function paraphrase(instruction: string, draws: Mt19937): string {
  const [pattern, ways] = TABLE.paraphrases.find(([each]) => new RegExp(each).test(instruction))!;
  return instruction.replace(new RegExp(pattern), pick(ways, draws));
}

/** Every word that has a synonym, phrases of several words first. */
function replaceWords(instruction: string, draws: Mt19937): string {
  const names = Object.keys(TABLE.synonyms).sort((a, b) => b.length - a.length);
  const replaced = instruction.replace(new RegExp(`\\b(${names.join("|")})\\b`, "g"), (name) =>
    pick(TABLE.synonyms[name], draws),
  );
  // An instruction of words that the table does not know is at least said otherwise.
  return replaced === instruction ? paraphrase(instruction, draws) : replaced;
}

/** Without the words that can be done without; without its first one where there are none of these. */
function shorten(instruction: string): string {
  const words = instruction.split(" ");
  const kept = words.filter((word) => !TABLE.dropped.includes(word));
  return (kept.length === 0 || kept.length === words.length ? words.slice(1) : kept).join(" ") || instruction;
}
