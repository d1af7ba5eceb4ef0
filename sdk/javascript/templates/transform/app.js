// {{name}}: one record in, one outcome out.

import { Outcome, perRecord } from 'millrace';

const ENVIRONMENT = process.env.ENVIRONMENT ?? 'dev';

export const transform = perRecord((record) => {
  const event = record.json(); // what throws fails its record, with the reason
  if (event.level === 'debug') return Outcome.dropped();
  event.environment = ENVIRONMENT;
  return Outcome.changed(`${JSON.stringify(event)}\n`).partition('level', event.level);
});
