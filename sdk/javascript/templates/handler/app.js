// {{name}}: an AWS Lambda function as it stands, here a Firehose transform.

const ENVIRONMENT = process.env.ENVIRONMENT ?? 'dev';

export const handler = async (event, context) => ({ records: event.records.map(convert) });

function convert({ recordId, data }) {
  let value;
  try {
    value = JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
  } catch {
    return { recordId, result: 'ProcessingFailed', data };
  }
  if (value.level === 'debug') return { recordId, result: 'Dropped', data };
  value.environment = ENVIRONMENT;
  return {
    recordId,
    result: 'Ok',
    data: Buffer.from(`${JSON.stringify(value)}\n`).toString('base64'),
    metadata: { partitionKeys: { level: value.level } },
  };
}
