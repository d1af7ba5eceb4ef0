// Write Millrace functions in JavaScript: what a function is given, what it answers, what it may ask.
//
//     import { Outcome, perRecord } from 'millrace';
//
//     export const transform = perRecord((record) =>
//       record.text ? Outcome.changed(record.text.toUpperCase()).partition('kind', 'loud') : Outcome.dropped());

export { Batch, Record } from './batch.js';
export { log, nowMs, randomBytes, setting } from './host.js';
export { Outcome, Output, perBatch, perRecord } from './outcome.js';
