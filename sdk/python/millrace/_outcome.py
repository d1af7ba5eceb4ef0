"""What becomes of records: `Outcome` for one, `Output` for a batch, and `@transform`."""

import inspect

from . import _host

# The function that `@transform` marked, and whether it takes the whole batch.
_marked = []


def transform(function):
    """Marks the project's function: of one parameter, `f(record) -> Outcome`, or of two,
    `f(batch, out)`. It stays a plain function. One function of a project may be marked."""
    count = len(inspect.signature(function).parameters)
    if count not in (1, 2):
        raise TypeError(f"@transform takes f(record) or f(batch, out); {function.__name__} has {count} parameters")
    if _marked:
        raise TypeError(f"@transform is on two functions, {_marked[0][0].__name__} and {function.__name__}; one is the project's")
    _marked.append((function, count == 2))
    return function


def marked():
    """Whether a function has `@transform`."""
    return bool(_marked)


def _bytes(data):
    if isinstance(data, (bytes, bytearray, memoryview)):
        return data
    if isinstance(data, str):
        return data.encode()
    raise TypeError(f"a record is bytes or str, not {type(data).__name__}")


class Outcome:
    """What becomes of one record."""

    __slots__ = ("keys", "reason", "records", "what")

    def __init__(self, what, records=(), reason=""):
        self.what = what
        self.records = records
        self.reason = reason
        self.keys = {}

    @classmethod
    def kept(cls):
        """It goes on as it is."""
        return cls("kept")

    @classmethod
    def changed(cls, data):
        """These bytes (or this text) go on in its place."""
        return cls("many", (_bytes(data),))

    @classmethod
    def many(cls, records):
        """Several records go on in its place; none is as `dropped`."""
        return cls("many", [_bytes(data) for data in records])

    @classmethod
    def dropped(cls):
        """It goes nowhere, and that is right."""
        return cls("dropped")

    @classmethod
    def failed(cls, reason):
        """It cannot be processed: it goes to the error output with the reason."""
        return cls("failed", reason=str(reason))

    def partition(self, name, value):
        """Gives what goes on the value of a partition key, for `!{partitionKeyFromLambda:name}`."""
        self.keys[name] = str(value)
        return self

    def __eq__(self, other):
        if not isinstance(other, Outcome):
            return NotImplemented
        mine = (self.what, [bytes(data) for data in self.records], self.reason, self.keys)
        return mine == (other.what, [bytes(data) for data in other.records], other.reason, other.keys)

    __hash__ = None

    def __repr__(self):
        return f"Outcome({self.what!r}, {list(self.records)!r}, {self.reason!r}, {self.keys!r})"


class Output:
    """The output of a batch. Records are written in the order of the batch; an input that is neither
    written nor failed is dropped."""

    def __init__(self):
        self._payload = bytearray()
        self.ends = []
        self.sources = []
        self.failures = []
        self._rows = []
        self._names = {}

    def __len__(self):
        return len(self.ends)

    @property
    def payload(self):
        """All output records, one behind the other."""
        return bytes(self._payload)

    def records(self):
        """The output records, each with the index of its source: for tests."""
        start = 0
        for end, source in zip(self.ends, self.sources):
            yield bytes(self._payload[start:end]), source
            start = end

    def keep(self, record):
        """`record` goes on as it is."""
        self.push(record, record.data)

    def push(self, record, data):
        """`data` goes on, made of `record`. May be called several times for a record."""
        self._payload += _bytes(data)
        self.ends.append(len(self._payload))
        self.sources.append(record.index)

    def fail(self, record, reason):
        """`record` goes to the error output with `reason`."""
        self.failures.append((record.index, str(reason)))

    def partition(self, name, value):
        """Gives the record that was written last the value of a partition key."""
        row = len(self.ends) - 1
        if row < 0:
            raise ValueError("a partition key belongs to a record that was written")
        while len(self._rows) <= row:
            self._rows.append({})
        self._names[name] = None
        self._rows[row][name] = str(value)

    def columns(self, payload, ends, sources=None):
        """Sets the whole output at once: all records one behind the other, the offset (bytes) of the
        end of each, and the index of the source of each (without: one output for each input)."""
        if self.ends:
            raise ValueError("columns() is the whole output: records were already written")
        self._payload = bytearray(_bytes(payload))
        self.ends = list(ends)
        self.sources = list(range(len(self.ends)) if sources is None else sources)

    def partitions(self):
        """Names, values packed, and the end of each value, row by row."""
        names = list(self._names)
        values, ends = bytearray(), []
        if names:
            for row in range(len(self.ends)):
                keys = self._rows[row] if row < len(self._rows) else {}
                for name in names:
                    values += keys.get(name, "").encode()
                    ends.append(len(values))
        return names, bytes(values), ends


def put(outcome, record, out):
    """Writes what became of `record`."""
    if not isinstance(outcome, Outcome):
        out.fail(record, f"the function returned {type(outcome).__name__}, not an Outcome")
        return
    if outcome.what == "failed":
        out.fail(record, outcome.reason)
        return
    records = (record.data,) if outcome.what == "kept" else outcome.records
    for data in records:
        out.push(record, data)
        for name, value in outcome.keys.items():
            out.partition(name, value)


def run(batch, function=None, whole=None):
    """Calls the project's function over `batch`, or `function` in a test, and answers the output.
    A record whose function raises fails by itself; of a batch's function the error goes on."""
    if function is None:
        if not _marked:
            raise LookupError("no function has @transform")
        function, whole = _marked[0]
    elif whole is None:
        whole = len(inspect.signature(function).parameters) == 2
    out = Output()
    if whole:
        function(batch, out)
        return out
    told = False
    for record in batch:
        try:
            outcome = function(record)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if not told:
                place = "".join(_host.frames(error))
                _host.log("error", f"record {record.index}, the first of the batch that raised: {reason}\n{place}")
                told = True
            out.fail(record, reason)
            continue
        put(outcome, record, out)
    return out
