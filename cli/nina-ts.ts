#!/usr/bin/env node
/** The one door to all commands: `npx nina-ts --help`. Only the command that is asked for is loaded. */
import { createRequire } from "node:module";
import { COMMANDS } from "./commands.ts";
import { runMain, UsageError } from "./index.ts";
import { ownModule } from "./own-modules.ts";

interface Manifest {
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

const require = createRequire(import.meta.url);
const manifest = (): Manifest => require("nina-ts/package.json");

const name = process.argv[2];
await runMain(async () => {
  if (name === undefined || name === "--help") return void process.stdout.write(help());
  if (name === "--version") return console.log(manifest().version);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new UsageError(`nina-ts has no command ${JSON.stringify(name)} (see nina-ts --help)`);
  if (!process.argv.includes("--help")) refuseMissing(name, command.needs ?? []);
  process.argv.splice(2, 1); // the command finds its own arguments where it always does
  await import(ownModule(`../${command.script}`, import.meta.url).href);
});

/** @throws Error that says what to install, when a package is missing. */
function refuseMissing(name: string, needs: readonly string[]): void {
  const missing = needs.filter((each) => {
    try {
      return !require.resolve(each);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
    }
  });
  if (missing.length === 0) return;
  const { peerDependencies } = manifest();
  const list = missing.map((each) => `${each}@${peerDependencies[each]}`).join(" ");
  throw new Error(`nina-ts ${name}: needs packages that nina-ts does not bring along: npm install ${list}`);
}

function help(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const rows = Object.entries(COMMANDS).map(([name, { about, needs }]) => {
    const beside = needs ? `; needs ${needs.join(", ")}` : "";
    return `  ${name.padEnd(width)}  ${about}${beside}\n`;
  });
  return (
    `Usage: nina-ts COMMAND [options]\n\n` +
    `A deep learning framework, and the NinA robot policy on it. nina-ts COMMAND --help tells more.\n\n${rows.join("")}\n` +
    `  ${"--version".padEnd(width)}  print the version and exit\n  ${"--help".padEnd(width)}  print this and exit\n`
  );
}
