import fc from "fast-check";
import "../core/index.ts"; // tests that look inside core find it set up as its users do

/**
 * Properties draw the same cases in every run, so that a change is judged by what it changes. `FC_SEED=…` draws others;
 * a failing property prints the seed that repeats it.
 */
fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 20_251_123) });
