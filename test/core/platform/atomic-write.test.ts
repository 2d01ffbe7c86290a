import { execFileSync, spawnSync } from "node:child_process";
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, expect } from "vitest";
import {
  isReplaceable,
  writeFileAtomic,
  writeFileInTurns,
} from "../../../core/platform/files/atomic-write.ts";

const folder = mkdtempSync(join(tmpdir(), "atomic-write-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "file");

test.prop([fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 })])(
  "chunks arrive joined",
  (chunks) => {
    writeFileAtomic(path, chunks);
    expect(readFileSync(path)).toEqual(Buffer.concat(chunks));
    expect(readdirSync(folder)).toEqual(["file"]);
  },
);

test("text is written in UTF-8, bytes as they are", () => {
  writeFileAtomic(path, "ä");
  expect([...readFileSync(path)]).toEqual([0xc3, 0xa4]);
  writeFileAtomic(path, Uint8Array.of(1, 2, 3).subarray(1));
  expect([...readFileSync(path)]).toEqual([2, 3]);
});

test("a failure halfway keeps the old file and leaves nothing behind", () => {
  writeFileSync(path, "old");
  function* failing() {
    yield Buffer.from("new, but");
    expect(readdirSync(folder)).toHaveLength(2);
    throw new Error("out of ideas");
  }
  expect(() => writeFileAtomic(path, failing())).toThrow("out of ideas");
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["file"]);
});

test("in turns, a file arrives whole, other work goes on meanwhile, and a failure leaves nothing behind", async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++);
  function* chunks() {
    const until = Date.now() + 10_000;
    for (let i = 0; i < 3 || (ticks < 3 && Date.now() < until); i++) yield Buffer.from("abc");
  }
  await writeFileInTurns(path, chunks());
  clearInterval(timer);
  expect(ticks).toBeGreaterThanOrEqual(3);
  expect(readFileSync(path, "utf8")).toMatch(/^(abc)+$/);

  writeFileSync(path, "old");
  function* failing() {
    yield Buffer.from("new, but");
    throw new Error("out of ideas");
  }
  await expect(writeFileInTurns(path, failing())).rejects.toThrow("out of ideas");
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["file"]);
});

test("a process that exits in the middle takes its temporary file with it", () => {
  const place = join(folder, "exits");
  const script = `
    import { writeFileInTurns } from "./core/platform/files/atomic-write.ts";
    import { readdirSync } from "node:fs";
    function* chunks() {
      yield Buffer.from("x");
      console.log(readdirSync(${JSON.stringify(folder)}).filter((name) => name.endsWith(".tmp")).length);
      process.exit(7);
    }
    writeFileInTurns(${JSON.stringify(place)}, chunks());`;
  const { status, stdout } = spawnSync(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", script],
    { encoding: "utf8" },
  );
  expect([status, stdout]).toEqual([7, "1\n"]);
  expect(readdirSync(folder).filter((name) => name.startsWith("exits"))).toEqual([]);
});

test("a folder that is not there is reported", () => {
  const inside = join(folder, "none", "file");
  expect(() => writeFileAtomic(inside, "x")).toThrow(`${inside}: cannot be written: ENOENT`);
});

test("a link stays a link, also one to a file that is not there yet", () => {
  const [file, link] = [join(folder, "linked"), join(folder, "link")];
  symlinkSync("linked", link);
  for (const text of ["first", "second"]) {
    writeFileAtomic(link, text);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(file, "utf8")).toBe(text);
  }
});

test("a file keeps who may read it", () => {
  const file = join(folder, "private");
  writeFileSync(file, "old", { mode: 0o600 });
  writeFileAtomic(file, "new");
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("a pipe and a device are written to, not replaced", () => {
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const script = `
    import { isReplaceable, writeFileAtomic } from "./core/platform/files/atomic-write.ts";
    for (const path of ["/dev/stdout", "/dev/null", ${JSON.stringify(pipe)}]) writeFileAtomic(path, "text");`;
  const writing = `"${process.execPath}" --import tsx --input-type=module --eval '${script}'`;
  const reading = `timeout 20 cat "${pipe}" &`;
  const shown = execFileSync("sh", ["-c", `${reading} ${writing}; wait`], { encoding: "utf8" });
  expect(shown).toBe("texttext");
  expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  expect(lstatSync(pipe).isFIFO()).toBe(true);
  expect([pipe, "/dev/null", "/dev/stdout", "/proc/self/fd/1"].filter(isReplaceable)).toEqual([]);
  expect([path, join(folder, "none")].filter((file) => !isReplaceable(file))).toEqual([]);
});

test("a slow reader of stdout gets everything", () => {
  const script = `
    import { writeFileAtomic } from "./core/platform/files/atomic-write.ts";
    process.stdout.on("error", () => {});
    writeFileAtomic("/dev/stdout", Buffer.alloc(300_000));`;
  const writing = `"${process.execPath}" --import tsx --input-type=module --eval '${script}'`;
  // A pipe holds 64 KiB: the rest is there only after its reader has begun.
  const reading = "(sleep 2; wc -c)";
  expect(execFileSync("bash", ["-c", `${writing} | ${reading}`], { encoding: "utf8" }).trim()).toBe("300000");
});

test("a folder is not replaced", () => {
  for (const use of [isReplaceable, (path: string) => writeFileAtomic(path, "x")])
    expect(() => use(folder)).toThrow(`${folder}: cannot be written: it is a folder`);
});
