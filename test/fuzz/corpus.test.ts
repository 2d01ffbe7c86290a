import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { judge } from "./judge.ts";
import { caseAt, type Input, READERS, type Read, type Reader, readerModule } from "./reader.ts";

const corpus = fileURLToPath(new URL("corpus", import.meta.url));

describe.each(READERS)("%s", (name) => {
  const folder = mkdtempSync(join(tmpdir(), "fuzz-corpus-"));
  let reader: Reader;
  let read: Read;
  beforeAll(async () => {
    reader = ((await import(readerModule(name))) as { default: Reader }).default;
    read = await reader.prepare(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const put = ({ file, bytes }: Input): void => {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  };
  /** Reads an input, everything else being sound. */
  const tried = (input: Input) => {
    for (const seed of [...reader.seeds].reverse()) put(seed);
    put(input);
    return judge(read, folder, input.file);
  };

  it("takes every sound input", async () => {
    for (const seed of reader.seeds) expect(await tried(seed)).toMatchObject({ outcome: "accepted" });
  });

  const cases = existsSync(join(corpus, name)) ? readdirSync(join(corpus, name)) : [];
  it.each(cases)("takes %s or refuses it with one clear error, within the limits", async (one) => {
    const { outcome, text } = await tried(await caseAt(name, join(corpus, name, one)));
    expect(outcome === "failed" ? text : null).toBeNull();
  });
});
