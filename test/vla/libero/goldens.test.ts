import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { taskCases } from "../../parity/libero.ts";

const { NINA_GOLDENS, LIBERO_ROOT, ROBOSUITE_ROOT } = process.env;

// Two scenes of ten: a table with a stove and a cabinet, and a kitchen. `test/parity.ts` runs them all.
describe.skipIf(!NINA_GOLDENS || !LIBERO_ROOT || !ROBOSUITE_ROOT)(
  "recordings of Python LIBERO (needs NINA_GOLDENS, LIBERO_ROOT, ROBOSUITE_ROOT)",
  () => {
    for (const name of ["libero_spatial__00", "libero_10__02"]) {
      const folder = join(NINA_GOLDENS ?? "", "libero", name);
      const roots = { libero: LIBERO_ROOT ?? "", robosuite: ROBOSUITE_ROOT ?? "" };
      const cases = NINA_GOLDENS ? taskCases(folder, roots).filter(({ kind }) => kind !== "render") : [];
      test.each(cases)(`${name}: $kind`, async ({ run }) => {
        const { pass, error, tolerance } = await run!();
        expect(pass, `error ${error}, tolerance ${tolerance}`).toBe(true);
      });
    }
  },
);
