import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { promptFor } from "../../../vla/florence2/prompt.ts";

const START = "Agent Type: 1-arm Franka Panda, Action Space: Delta End-Effector,  Task Instruction:";

describe("the prompt", () => {
  test("wraps an instruction, with the two spaces the policies were trained on", () => {
    expect(promptFor("open the drawer")).toBe(`${START} open the drawer`);
  });

  test("ends after the colon when there is no instruction", () => {
    expect(promptFor("")).toBe(START);
    expect(promptFor(" \t\x1c\x85\u3000")).toBe(START);
  });

  test("strips as Python does, which keeps U+FEFF", () => {
    expect(promptFor("a\ufeff")).toBe(`${START} a\ufeff`);
  });

  test.prop([fc.array(fc.stringMatching(/^[a-z]([a-z ]*[a-z])?$/), { minLength: 1, maxLength: 4 })])(
    "puts one space where lines break, whatever surrounds the break",
    (lines) => {
      expect(promptFor(lines.join(" \n\t "))).toBe(`${START} ${lines.join(" ")}`);
    },
  );
});

const goldens = process.env.NINA_GOLDENS;

test.skipIf(!goldens)("agrees with the reference's examples (needs NINA_GOLDENS)", () => {
  const { prompts } = JSON.parse(readFileSync(join(goldens!, "nina", "schedules.json"), "utf8"));
  expect(prompts.length).toBeGreaterThan(0);
  for (const { instruction, prompt } of prompts) expect(promptFor(instruction)).toBe(prompt);
});
