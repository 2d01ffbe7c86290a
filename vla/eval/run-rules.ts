/** What stands in the files of a run, which others may have changed: checked before anything is made of it. */
import { checkFields, oneOf, orNull, type Rule, whole } from "../check-config.ts";

/** Numbers of initial states, of steps and the like. */
const COUNT = whole(0, 2 ** 32);
const text: Rule = (value) => (typeof value === "string" ? null : "text");
const number: Rule = (value) => (Number.isFinite(value) ? null : "a number");
const fieldsOf =
  (fields: Readonly<Record<string, Rule>>): Rule =>
  (value) =>
    checkFields("", value, fields).length === 0 ? null : `an object of ${Object.keys(fields).join(", ")}`;
const manyOf =
  (rule: Rule): Rule =>
  (value) =>
    Array.isArray(value) && value.every((each) => rule(each) === null) ? null : `a list, each ${rule(null)}`;
const perhaps =
  (rule: Rule): Rule =>
  (value) =>
    value === undefined ? null : rule(value);

const span: Rule = (value) =>
  Array.isArray(value) && value.length === 2 && value.every((step) => COUNT(step) === null)
    ? null
    : "a first and a last step";

const TIMING: Readonly<Record<string, Rule>> = {
  task: text,
  perturb: perhaps(text),
  init: COUNT,
  retried: perhaps(text),
  policyMs: orNull(number),
  simMs: orNull(number),
  renderMs: orNull(number),
  controlHz: orNull(number),
};

const EPISODE: Readonly<Record<string, Rule>> = {
  task: text,
  instruction: text,
  init: COUNT,
  steps: COUNT,
  trajectoryHash: text,
  policyCalls: COUNT,
  outcome: oneOf(["success", "failure", "error"]),
  error: perhaps(text),
  logProbs: perhaps(manyOf(number)),
  lostPremises: perhaps(manyOf(text)),
  perturbed: perhaps(fieldsOf({ levels: text })),
  trace: perhaps(
    fieldsOf({ gripper: manyOf(number), goal: manyOf(fieldsOf({ term: text, held: manyOf(span) })) }),
  ),
};

const MANIFEST: Readonly<Record<string, Rule>> = {
  version: text,
  policyDigest: orNull(text),
  maxSteps: COUNT,
  run: fieldsOf({
    suite: text,
    policy: text,
    protocol: text,
    seed: COUNT,
    cameraSize: COUNT,
    engine: fieldsOf({ node: text, mujoco: text, contacts: text }),
  }),
  protocol: fieldsOf({ name: text }),
  tasks: manyOf(fieldsOf({ task: text, instruction: text, perturb: perhaps(text), digest: text })),
  first: COUNT,
  episodes: COUNT,
};

/** What is wrong with a value as the `manifest.json` of a run, a fault each. */
export const faultsOfManifest = (value: unknown): string[] => checkFields("manifest", value, MANIFEST);

/** The same of a line of `timings.jsonl`. */
export const faultsOfTiming = (value: unknown): string[] => checkFields("timing", value, TIMING);

/** The same of a line of `episodes.jsonl`, with its actions or without. */
export function faultsOfEpisode(value: unknown): string[] {
  const faults = checkFields("episode", value, EPISODE);
  if (faults.length > 0) return faults;
  const { outcome, error } = value as { readonly outcome: string; readonly error?: string };
  const isSilent = outcome === "error" && error === undefined;
  return isSilent ? ["episode.error: expected text, as its outcome is error, found nothing"] : [];
}
