/** The thread of thread.ts: loads a checkpoint, and answers what its policies are asked. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { loadPolicy } from "../policies/index.ts";
import { unpack } from "../policies/packed.ts";
import type { Policy } from "../policies/policy.ts";
import type { Answer, Description, Order } from "./thread.ts";

const port = parentPort as MessagePort;
const source = await loadPolicy("nina", workerData);
const { name, untrained, cameraSize, sampling, hasDensity, device, digest } = source;
/** What was made for each number, or why it was not. */
const policies = new Map<number, Policy | Error>();

/** Carries out an order: what is asked of several policies while one plans, they plan together. */
async function obey(order: Order): Promise<void> {
  const policy = policies.get(order.policy);
  switch (order.what) {
    case "episode":
      try {
        policies.set(order.policy, source.forEpisode(order.key));
      } catch (error) {
        policies.set(order.policy, error as Error); // told when it is asked
      }
      return;
    case "reset":
      if (!(policy instanceof Error)) policy?.reset(order.seed);
      return;
    case "release":
      if (!(policy instanceof Error)) policy?.[Symbol.dispose]?.();
      policies.delete(order.policy);
      return;
    case "act": {
      const { question, seen, instruction, request } = order;
      let answer: Answer;
      try {
        if (policy instanceof Error) throw policy;
        answer = { question, chunk: await (policy as Policy).act(unpack(seen), instruction, request) };
      } catch (error) {
        answer = { question, error: (error as Error).message };
      }
      port.postMessage(answer);
    }
  }
}

port.on("message", (order: Order) => void obey(order));
port.postMessage({
  name,
  untrained,
  cameraSize,
  sampling,
  hasDensity,
  device,
  digest,
} satisfies Description);
