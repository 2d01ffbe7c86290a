import { pathToFileURL } from "node:url";

/** A module of the user's by its path. TypeScript is loaded by Node where it can, else by tsx where that is installed. */
export async function importUserModule(file: string): Promise<{ readonly default?: unknown }> {
  const { href } = pathToFileURL(file);
  try {
    return await import(href);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_UNKNOWN_FILE_EXTENSION") throw error;
    const { register } = await import("tsx/esm/api").catch(() => {
      throw new Error(`Node ${process.versions.node} runs TypeScript only with tsx: npm install tsx`);
    });
    register();
    return await import(href);
  }
}
