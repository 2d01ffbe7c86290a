/** Starts thread-worker.ts in a thread, whatever runs the program: threads do not take over its loader for TypeScript. */
import { register } from "tsx/esm/api";

register();
await import("./thread-worker.ts");
