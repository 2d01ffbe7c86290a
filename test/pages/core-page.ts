/** core, nn and flows in a page: what core.test.ts asks of it. */
import { engineInfo, heapUsage, openSafetensors, setThreads, threads } from "../../core/index.ts";
import { coreWork } from "./core-work.ts";

const core = { coreWork, engineInfo, heapUsage, openSafetensors, setThreads, threads };
export type CorePage = typeof core;
Object.assign(globalThis, { core });
