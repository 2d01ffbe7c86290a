/** The thread of thread.ts: loads a policy source, and answers what it is asked in the order in which it is asked. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { Policy } from "../policy.ts";
import { loadPolicy } from "./index.ts";
import { unpack } from "./packed.ts";
import type { PolicySource } from "./source.ts";
import type { Answer, Question, Start } from "./thread.ts";

const { kind, files } = workerData as Start;
const port = parentPort as MessagePort;

const loading = loadPolicy(kind, files);
loading.catch(() => {}); // told with the first question
/** What was made for each number, or why it was not. */
const policies = new Map<number, Policy | Error>();

function policyOf(number: number): Policy {
  const policy = policies.get(number) as Policy | Error;
  if (policy instanceof Error) throw policy;
  return policy;
}

async function answer(question: Question, source: PolicySource): Promise<Answer["value"]> {
  switch (question.what) {
    case "describe": {
      const { name, untrained, cameraSize, sampling, hasDensity, device } = source;
      return { name, untrained, cameraSize, sampling, hasDensity, device };
    }
    case "episode":
      try {
        policies.set(question.policy, source.forEpisode(question.key));
      } catch (error) {
        policies.set(question.policy, error as Error);
        throw error;
      }
      return;
    case "reset":
      return policyOf(question.policy).reset(question.seed);
    case "release":
      policies.delete(question.policy);
      return;
    case "act":
      return policyOf(question.policy).act(unpack(question.seen), question.instruction, question.request);
  }
}

let last: Promise<unknown> = Promise.resolve();
port.on("message", ({ number, question }: { number: number; question: Question }) => {
  last = last.then(async () => {
    let reply: Answer;
    try {
      reply = { number, value: await answer(question, await loading) };
    } catch (error) {
      reply = { number, error: (error as Error).message };
    }
    port.postMessage(reply);
  });
});
