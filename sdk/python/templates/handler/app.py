"""{{name}}: an AWS Lambda function as it stands, here a Firehose transform."""

import base64
import json
import os

ENVIRONMENT = os.environ.get("ENVIRONMENT", "dev")


def lambda_handler(event, context):
    return {"records": [convert(record) for record in event["records"]]}


def convert(record):
    try:
        data = json.loads(base64.b64decode(record["data"]))
    except ValueError:
        return {"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}
    if data["level"] == "debug":
        return {"recordId": record["recordId"], "result": "Dropped", "data": record["data"]}
    data["environment"] = ENVIRONMENT
    line = json.dumps(data) + "\n"
    return {
        "recordId": record["recordId"],
        "result": "Ok",
        "data": base64.b64encode(line.encode()).decode(),
        "metadata": {"partitionKeys": {"level": data["level"]}},
    }
