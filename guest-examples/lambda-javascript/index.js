'use strict';

// A Lambda function for data transformation in the shape that AWS documents for Firehose: nothing in it
// knows of Millrace. Access log lines become JSON; health checks go nowhere; what is no access log line
// is marked as failed.

const LINE = /^(\S+) \S+ (\S+) \[([^\]]+)\] "(\S+) (\S+) [^"]*" (\d{3}) (\d+|-)/;
const TIME = /^(\d\d)\/(\w{3})\/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)$/;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const SITE = process.env.SITE || 'unnamed';

console.log('Loading function');

function timeOf(text) {
  const [, day, month, year, time, hours, minutes] = TIME.exec(text);
  const number = String(MONTHS.indexOf(month) + 1).padStart(2, '0');
  return new Date(`${year}-${number}-${day}T${time}${hours}:${minutes}`);
}

exports.handler = async (event, context) => {
  let succeeded = 0;
  let failed = 0;
  let dropped = 0;

  const output = event.records.map((record) => {
    const payload = Buffer.from(record.data, 'base64').toString('utf8');
    const match = LINE.exec(payload);
    if (!match) {
      failed++;
      return { recordId: record.recordId, result: 'ProcessingFailed', data: record.data };
    }
    const [, host, user, time, method, path, status, bytes] = match;
    if (path === '/health') {
      dropped++;
      return { recordId: record.recordId, result: 'Dropped', data: record.data };
    }
    succeeded++;
    const when = timeOf(time);
    const entry = {
      site: SITE,
      time: when.toISOString(),
      host,
      user: user === '-' ? null : user,
      method,
      path,
      status: Number(status),
      bytes: bytes === '-' ? 0 : Number(bytes),
    };
    return {
      recordId: record.recordId,
      result: 'Ok',
      data: Buffer.from(JSON.stringify(entry) + '\n', 'utf8').toString('base64'),
      metadata: { partitionKeys: { day: when.toISOString().slice(0, 10) } },
    };
  });

  console.log(`Request ${context.awsRequestId}: ${succeeded} records, ${dropped} dropped, ${failed} failed.`);
  return { records: output };
};
