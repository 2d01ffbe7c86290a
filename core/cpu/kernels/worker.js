/**
 * A worker thread: claims chunks of whatever job threads.ts has published, spins while it may, parks otherwise.
 * Plain JavaScript, so that it starts without a loader.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";

/**
 * @typedef {object} Start What threads.ts hands over.
 * @property {Int32Array} control the words both sides share
 * @property {Record<string, number>} word where each word stands
 * @property {Uint8Array} text room for an error message
 * @property {WebAssembly.Memory} memory the heap
 * @property {number} scratch this thread's scratch block
 */
const { control, word, text, memory, scratch } = /** @type {Start} */ (workerData);
const port = /** @type {import("node:worker_threads").MessagePort} */ (parentPort);

/** Polls without work before a spinning worker parks all the same: about a millisecond. */
const PATIENCE = 100_000;

/** @type {Map<number, (...args: number[]) => void>} */
const kernels = new Map();

/** The kernel of that number; its module was posted before the job was published.
 * @param {number} id */
function kernelOf(id) {
  for (;;) {
    const run = kernels.get(id);
    if (run) return run;
    const received = receiveMessageOnPort(port);
    if (!received) continue;
    const env = { memory, scratch, sin: Math.sin, cos: Math.cos };
    const { exports } = new WebAssembly.Instance(received.message.module, { env });
    kernels.set(received.message.id, /** @type {(...args: number[]) => void} */ (exports.run));
  }
}

/** Does one chunk of the published job, which stays as it is until every claimed chunk is done.
 * @param {number} index */
function work(index) {
  const size = control[word.chunkSize];
  const args = control.subarray(word.args, word.args + control[word.argCount]);
  const end = Math.min((index + 1) * size, control[word.tiles]);
  try {
    kernelOf(control[word.kernel])(...args, index * size, end);
  } catch (error) {
    const message = new TextEncoder().encode(String(error)).subarray(0, text.length - 1);
    text.fill(0).set(message);
    Atomics.store(control, word.failed, 1);
  }
  if (Atomics.add(control, word.done, 1) + 1 === control[word.chunks]) Atomics.notify(control, word.done);
}

let idle = 0;
for (;;) {
  // Claiming is one subtraction: what it returns belongs to the job published at that moment, or says there is none.
  const left = Atomics.load(control, word.left) > 0 ? Atomics.sub(control, word.left, 1) : 0;
  if (left > 0) {
    work(control[word.chunks] - left);
    idle = 0;
  } else if (Atomics.load(control, word.spin) === 0 || ++idle > PATIENCE) {
    const signal = Atomics.load(control, word.signal);
    Atomics.add(control, word.parked, 1);
    if (Atomics.load(control, word.left) <= 0) Atomics.wait(control, word.signal, signal);
    Atomics.sub(control, word.parked, 1);
    idle = 0;
  }
}
