"""What a function is given."""

import json


class Record:
    """One record of a batch.

    data: its bytes. arrival_ms: when it arrived, milliseconds since the Unix epoch. key: its
    partition key as bytes, None where the source has none. sequence: its number in its shard, the
    same whenever it is processed. index: its place in the batch, from 0.
    """

    __slots__ = ("arrival_ms", "data", "index", "key", "sequence")

    def __init__(self, data, arrival_ms=0, key=None, sequence=0, index=0):
        self.data = data
        self.arrival_ms = arrival_ms
        self.key = key
        self.sequence = sequence
        self.index = index

    @property
    def text(self):
        """The record as text. Raises UnicodeDecodeError when it is not UTF-8."""
        return self.data.decode()

    def json(self):
        """The record's JSON value. Raises ValueError when it is not JSON."""
        return json.loads(self.data)


class Batch:
    """Some records of one shard, in order, packed in columns.

    payload: all records, one behind the other. ends: for each record the offset (bytes) of its end
    in the payload. arrivals_ms, keys, key_ends (empty without keys), first_sequence: as for a
    record. Iterate over it for its records.
    """

    __slots__ = ("arrivals_ms", "ends", "first_sequence", "key_ends", "keys", "payload")

    def __init__(self, payload, ends, arrivals_ms, keys=b"", key_ends=(), first_sequence=0):
        self.payload = payload
        self.ends = ends
        self.arrivals_ms = arrivals_ms
        self.keys = keys
        self.key_ends = key_ends
        self.first_sequence = first_sequence

    @classmethod
    def of(cls, records):
        """A batch of these records (bytes or str), without keys, of the Unix epoch: for tests."""
        payload, ends = bytearray(), []
        for data in records:
            payload += data.encode() if isinstance(data, str) else data
            ends.append(len(payload))
        return cls(bytes(payload), ends, [0] * len(ends))

    def __len__(self):
        return len(self.ends)

    def __iter__(self):
        payload, keys, key_ends, first = self.payload, self.keys, self.key_ends, self.first_sequence
        start = key_start = 0
        for index, (end, arrival_ms) in enumerate(zip(self.ends, self.arrivals_ms)):
            key = None
            if key_ends:
                key = keys[key_start : key_ends[index]]
                key_start = key_ends[index]
            yield Record(payload[start:end], arrival_ms, key, first + index, index)
            start = end
