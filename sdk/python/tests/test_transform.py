"""The transform side of the SDK, natively."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from millrace import Batch, Outcome, Output, _outcome


def test_records_of_a_batch_have_their_columns():
    batch = Batch(b"abcde", [2, 2, 5], [10, 20, 30], b"kxyz", [1, 1, 4], 7)
    seen = [(r.data, r.arrival_ms, r.key, r.sequence, r.index) for r in batch]
    assert seen == [(b"ab", 10, b"k", 7, 0), (b"", 20, b"", 8, 1), (b"cde", 30, b"xyz", 9, 2)]
    assert [r.key for r in Batch.of(["é"])] == [None]
    assert next(iter(Batch.of(['{"a":"é"}']))).json() == {"a": "é"}


def test_each_outcome_is_written():
    def function(record):
        return {
            "keep": lambda: Outcome.kept().partition("a", 1),
            "change": lambda: Outcome.changed("é"),
            "many": lambda: Outcome.many([b"1", "22"]).partition("b", "x"),
            "none": lambda: Outcome.many([]),
            "drop": Outcome.dropped,
            "fail": lambda: Outcome.failed(ValueError("why")),
            "wrong": lambda: b"bytes",
            "raise": lambda: {}["missing"],
        }[record.text]()

    names = ["keep", "change", "many", "none", "drop", "fail", "wrong", "raise"]
    out = _outcome.run(Batch.of(names), function)
    assert list(out.records()) == [(b"keep", 0), ("é".encode(), 1), (b"1", 2), (b"22", 2)]
    assert out.failures == [(5, "why"), (6, "the function returned bytes, not an Outcome"), (7, "KeyError: 'missing'")]
    assert out.partitions() == (["a", "b"], b"1xx", [1, 1, 1, 1, 1, 2, 2, 3])


def test_a_whole_batch_is_written_by_column():
    def function(batch, out):
        out.columns(batch.payload.upper(), batch.ends)

    out = _outcome.run(Batch.of(["ab", "c"]), function)
    assert (out.payload, out.ends, out.sources) == (b"ABC", [2, 3], [0, 1])
    with pytest.raises(ValueError, match="already written"):
        out.columns(b"", [])


def test_partition_keys_late_or_twice_find_their_place():
    batch, out = list(Batch.of("abcd")), Output()
    for record, keys in zip(batch, [[("a", 1)], [("b", 2), ("a", 3)], [], [("b", "x"), ("b", 4)]]):
        out.keep(record)
        for name, value in keys:
            out.partition(name, value)
    assert out.partitions() == (["a", "b"], b"1324", [1, 1, 2, 3, 3, 3, 3, 4])
    assert Output().partitions() == ([], b"", [])
    with pytest.raises(ValueError, match="was written"):
        Output().partition("a", "b")


def test_an_error_of_a_batch_goes_on():
    def function(batch, out):
        raise LookupError("no table")

    with pytest.raises(LookupError, match="no table"):
        _outcome.run(Batch.of(["a"]), function)


def test_what_is_no_function_of_records_is_refused():
    with pytest.raises(TypeError, match="3 parameters"):
        _outcome.transform(lambda a, b, c: None)
    with pytest.raises(TypeError, match="not int"):
        Outcome.changed(5)
    assert Outcome.changed("a").partition("k", 1) == Outcome.changed(b"a").partition("k", "1")
    assert Outcome.kept() != Outcome.dropped()


def test_one_function_may_be_marked(monkeypatch):
    monkeypatch.setattr(_outcome, "_marked", [])
    with pytest.raises(LookupError):
        _outcome.run(Batch.of(["a"]))
    first = _outcome.transform(lambda record: Outcome.kept())
    assert list(_outcome.run(Batch.of(["a"])).records()) == [(b"a", 0)]
    assert first(None) == Outcome.kept()
    with pytest.raises(TypeError, match="two functions"):
        _outcome.transform(lambda record: Outcome.kept())
