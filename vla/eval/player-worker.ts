/** The thread of player-thread.ts: plays episodes, and asks the main thread for each chunk of actions. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { pack } from "../policies/packed.ts";
import type { ActionChunk, Policy } from "../policies/policy.ts";
import { Player, type Setting } from "./player.ts";
import type { Order, Report } from "./player-thread.ts";

const port = parentPort as MessagePort;
const report = (message: Report): void => port.postMessage(message);

let interrupted = false;
/** Who waits for the next chunk: one episode at a time asks one question at a time. */
let waiting: { resolve(chunk: ActionChunk): void; reject(reason: Error): void } | null = null;

/** The policy of an episode, which is elsewhere. */
function absentPolicy(): Policy {
  let reset: number | undefined;
  return {
    name: "absent",
    reset(seed) {
      reset = seed;
    },
    act: (seen, instruction, request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        report({ what: "ask", seen: pack(seen), instruction, request, reset });
        reset = undefined;
      }),
  };
}

const player = new Player(workerData as Setting);

async function obey(order: Extract<Order, { what: "check" | "play" }>): Promise<void> {
  try {
    if (order.what === "check") report({ what: "checked", checked: await player.check(order.setup) });
    else {
      const watcher = {
        interrupted: () => interrupted,
        stepped: (steps: number): void => report({ what: "stepped", steps }),
      };
      const { setup, episode, checked } = order;
      const played = await player.play(setup, episode, checked, absentPolicy(), watcher);
      report({ what: "played", played });
    }
  } catch (error) {
    report({ what: "failed", message: (error as Error).message });
  }
}

port.on("message", (order: Order) => {
  if (order.what === "interrupt") interrupted = true;
  else if (order.what === "chunk") waiting?.resolve(order.chunk);
  else if (order.what === "no chunk") waiting?.reject(new Error(order.message));
  else void obey(order);
});
