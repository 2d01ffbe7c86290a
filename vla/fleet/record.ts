import { gunzipSync, gzipSync } from "node:zlib";
import type { EpisodeLine, TimingLine } from "../eval/results.ts";

/** Largest record of an episode that is read: a thousand times a usual one. */
const MOST_RECORD_BYTES = 100e6;

/** What is kept of an episode: its lines in `episodes.jsonl` and `timings.jsonl`. */
export interface EpisodeRecord {
  readonly line: EpisodeLine;
  readonly timing: TimingLine;
}

/** The same, compressed. */
export type PackedRecord = Uint8Array;

export const packed = (record: EpisodeRecord): Buffer => gzipSync(JSON.stringify(record));

export const unpacked = (bytes: PackedRecord): EpisodeRecord =>
  JSON.parse(gunzipSync(bytes, { maxOutputLength: MOST_RECORD_BYTES }).toString());
