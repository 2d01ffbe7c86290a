/** What this machine can compute on: `npx tsx core/devices.ts --help`. */
import { type CliSchema, parseCli, runMain } from "../cli/index.ts";
import { engineInfo } from "./cpu/kernels/engine.ts";
import { listModes } from "./gpu/gpu-js.ts";
import { isSoftware } from "./gpu/modes.ts";

const schema = {
  usage: "npx tsx core/devices.ts [--json]",
  description:
    "Lists the devices of this machine by the names that --device takes, what drives each, and why the others are\n" +
    "not available. Each has computed a small product, and it was right.",
  options: {
    json: {
      type: "boolean",
      help: "print [{ device, available, software?, driver?, reason? }]; software: it computes on the processor",
    },
  },
} as const satisfies CliSchema;

interface Listed {
  readonly device: string;
  readonly available: boolean;
  /** Whether a GPU's work is done on the processor. */
  readonly software?: boolean;
  readonly driver?: string;
  readonly reason?: string;
}

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  const { engine, fma } = engineInfo();
  const driver = `${engine}, WebAssembly SIMD${fma ? " with fused multiply-add" : ""}`;
  const devices: Listed[] = [{ device: "cpu", available: true, driver }];
  for (const found of await listModes()) {
    const device = `gpu:${found.mode}`;
    if ("driver" in found)
      devices.push({ device, available: true, software: isSoftware(found.driver), driver: found.driver });
    else devices.push({ device, available: false, reason: found.reason });
  }
  if (args.json) return console.log(JSON.stringify(devices));
  const width = Math.max(...devices.map(({ device }) => device.length));
  for (const { device, available, software, driver, reason } of devices) {
    const text = available ? `${driver}${software ? " (software)" : ""}` : `not available: ${reason}`;
    console.log(`${device.padEnd(width)}  ${text}`);
  }
});
