import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { importUserModule } from "../cli/index.ts";
import {
  checkInteger,
  checkOptions,
  type HostTensor,
  type LazyTensor,
  printable,
  refuse,
} from "../core/index.ts";
import { Flow } from "./flow.ts";
import type { FlowOutline } from "./from-names.ts";

export type Tensors = ReadonlyMap<string, HostTensor | LazyTensor>;

/**
 * What a module for `certify --flow` exports as its default: how to build its flow. It is called with a checkpoint's
 * tensors and the path they were read from, or with nothing where there is no checkpoint; it may be async.
 */
export type FlowModule = (tensors?: Tensors, path?: string) => FlowOutline | Promise<FlowOutline>;

/**
 * The outline of the flow that a module describes. Throws one line that names the module when it does not keep to
 * `FlowModule`.
 */
export async function outlineFromModule(
  module: string,
  tensors?: Tensors,
  path?: string,
): Promise<FlowOutline> {
  const outline = await called(module, tensors, path);
  checkOptions(outline, ["make", "prefix", "condition"], `${module}: default export`);
  const { make, prefix = "", condition = 0 } = outline as Partial<Record<keyof FlowOutline, unknown>>;
  if (typeof make !== "function") refuse(module, "make to be a function that builds the flow", make);
  if (typeof prefix !== "string") refuse(module, "prefix to be text", prefix);
  checkInteger(condition, 0, module, "condition");
  const made = new Set<unknown>();
  const built = (): Flow => {
    const flow: unknown = (make as () => unknown)();
    if (!(flow instanceof Flow)) return refuse(module, "make to build a Flow", flow);
    if (made.has(flow)) throw new Error(`${module}: expected make to build a new Flow at each call`);
    made.add(flow);
    return flow;
  };
  return { make: built, prefix, condition: condition as number };
}

/** What the module's function gives. */
async function called(module: string, tensors?: Tensors, path?: string): Promise<unknown> {
  const file = resolve(module);
  if (!existsSync(file)) throw new Error(`${module}: expected a module, found no file`);
  try {
    const { default: flowModule } = await importUserModule(file);
    if (typeof flowModule === "function") return await (flowModule as FlowModule)(tensors, path);
    return refuse("default export", "a function that gives { make, prefix, condition }", flowModule);
  } catch (cause) {
    const { message } = cause instanceof Error ? cause : { message: String(cause) };
    throw new Error(`${module}: ${printable(message.replaceAll(/\s+/g, " "), 600)}`, { cause });
  }
}
