"""Write Millrace functions in Python: what a function is given, what it answers, what it may ask.

    from millrace import Outcome, transform

    @transform
    def shout(record):
        if not record.data:
            return Outcome.dropped()
        return Outcome.changed(record.data.upper()).partition("kind", "loud")

A function of two parameters, `def shout(batch, out)`, has the whole batch. A project of kind
`handler` has `lambda_handler(event, context)` or `handler(event, context)` instead.
"""

from ._batch import Batch, Record
from ._host import log, now_ms, random_bytes, setting
from ._outcome import Outcome, Output, transform

__all__ = ["Batch", "Outcome", "Output", "Record", "log", "now_ms", "random_bytes", "setting", "transform"]
