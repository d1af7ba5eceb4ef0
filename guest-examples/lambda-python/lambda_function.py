"""A Lambda function for data transformation in the shape that AWS documents for Firehose: nothing in it
knows of Millrace. Access log lines become JSON; health checks go nowhere; what is no access log line
is marked as failed."""

import base64
import json
import os
import re
from datetime import datetime, timezone

LINE = re.compile(
    r'(?P<host>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) [^"]*" (?P<status>\d{3}) (?P<bytes>\d+|-)'
)
SITE = os.environ.get("SITE", "unnamed")

print("Loading function")


def lambda_handler(event, context):
    output = []
    succeeded = failed = dropped = 0

    for record in event["records"]:
        payload = base64.b64decode(record["data"]).decode("utf-8")
        match = LINE.match(payload)
        if match is None:
            failed += 1
            output.append({"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]})
            continue
        if match["path"] == "/health":
            dropped += 1
            output.append({"recordId": record["recordId"], "result": "Dropped", "data": record["data"]})
            continue
        succeeded += 1
        when = datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").astimezone(timezone.utc)
        entry = {
            "site": SITE,
            "time": when.isoformat(),
            "host": match["host"],
            "user": None if match["user"] == "-" else match["user"],
            "method": match["method"],
            "path": match["path"],
            "status": int(match["status"]),
            "bytes": 0 if match["bytes"] == "-" else int(match["bytes"]),
        }
        output.append(
            {
                "recordId": record["recordId"],
                "result": "Ok",
                "data": base64.b64encode((json.dumps(entry) + "\n").encode("utf-8")).decode("utf-8"),
                "metadata": {"partitionKeys": {"day": when.strftime("%Y-%m-%d")}},
            }
        )

    print(f"Request {context.aws_request_id}: {succeeded} records, {dropped} dropped, {failed} failed.")
    return {"records": output}
