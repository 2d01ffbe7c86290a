/** Starts batch-worker.ts in a thread, whatever runs the program: threads do not take over its loader for TypeScript. */
import "h5wasm/node"; // before the loader is there, which would spend two seconds on this file of four megabytes
import { register } from "tsx/esm/api";

register();
await import("./batch-worker.ts");
