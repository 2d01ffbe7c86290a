import { defineConfig } from "vitest/config";

/** Packs, installs into an empty folder, and uses what is there: `npm run test:package`. Needs npm's registry, or its cache. */
export default defineConfig({
  test: {
    include: ["test/package/**/*.test.ts"],
    testTimeout: 300_000,
    hookTimeout: 600_000,
    pool: "forks",
  },
});
