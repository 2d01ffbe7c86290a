/** A thread that makes batches: a number comes in, the batch is written into its slot, and the number goes back. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { BatchMaker } from "./batch.ts";
import type { Made, Start } from "./batch-stream.ts";
import { ExampleSet } from "./example-set.ts";

const { examples, batches, slots } = workerData as Start;
const port = parentPort as MessagePort;

const opening = ExampleSet.open(examples).then((set) => new BatchMaker(set, batches));
opening.catch(() => {}); // told with the first number
port.on("message", async (number: number) => {
  let made: Made;
  try {
    (await opening).make(number, slots[number % slots.length]);
    made = { number };
  } catch (error) {
    const { name, message } = error as Error;
    made = { number, error: { name, message } };
  }
  port.postMessage(made);
});
