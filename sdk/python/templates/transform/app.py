"""{{name}}: one record in, one outcome out."""

import json
import os

from millrace import Outcome, transform

ENVIRONMENT = os.environ.get("ENVIRONMENT", "dev")


@transform
def apply(record):
    event = record.json()  # what raises fails its record, with the reason
    if event["level"] == "debug":
        return Outcome.dropped()
    event["environment"] = ENVIRONMENT
    return Outcome.changed(json.dumps(event) + "\n").partition("level", event["level"])
