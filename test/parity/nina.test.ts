import { describe, expect, test } from "vitest";
import { cases } from "./nina.ts";
import { runCase } from "./report.ts";

const goldens = process.env.NINA_GOLDENS;

describe.skipIf(!goldens)("the NinA decoders agree with the reference (needs NINA_GOLDENS)", async () => {
  const all = goldens ? await cases(`${goldens}/nina`) : [];
  test.each(all.filter(({ run }) => run).map((one) => [one.name, one] as const))("%s", async (_, one) => {
    expect(await runCase(one)).toMatchObject({ status: "pass" });
  });
});
