package transform

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"millrace.local/millrace/internal/export_transform"
)

func run(t *testing.T, function func(Record) Outcome, records ...string) *Output {
	t.Helper()
	var data [][]byte
	for _, record := range records {
		data = append(data, []byte(record))
	}
	batch := BatchOf(data...)
	export_transform.Function = nil
	Each(function)
	columns, err := export_transform.Function(batch.columns)
	if err != nil {
		t.Fatal(err)
	}
	return &Output{columns: columns}
}

func outputs(out *Output) []string {
	var records []string
	for index := range out.Len() {
		data, source := out.At(index)
		records = append(records, strconv.Itoa(source)+" "+string(data))
	}
	return records
}

func TestOutcomesBecomeColumns(t *testing.T) {
	out := run(t, func(record Record) Outcome {
		switch string(record.Data) {
		case "0":
			return Dropped()
		case "1":
			return Kept()
		case "2":
			return Many([]byte("a"), []byte("b"))
		case "x":
			panic("not a number")
		case "y":
			return Failed(errors.New("why"))
		}
		return Changed(append(record.Data, '!'))
	}, "0", "1", "2", "x", "y", "3")
	if got := outputs(out); !reflect.DeepEqual(got, []string{"1 1", "2 a", "2 b", "5 3!"}) {
		t.Fatal(got)
	}
	if got := out.Failures(); !reflect.DeepEqual(got, map[int]string{3: "panic: not a number", 4: "why"}) {
		t.Fatal(got)
	}
}

func TestPartitionKeysLieRowByRow(t *testing.T) {
	keys := [][]string{{"a", "1"}, {"b", "2", "a", "3"}, {}, {"b", "x", "b", "4"}}
	out := run(t, func(record Record) Outcome {
		outcome := Kept()
		for at := 0; at < len(keys[record.Index]); at += 2 {
			outcome = outcome.Partition(keys[record.Index][at], keys[record.Index][at+1])
		}
		return outcome
	}, "r", "r", "r", "r")
	columns := out.columns
	if !reflect.DeepEqual(columns.PartitionNames, []string{"a", "b"}) || string(columns.PartitionValues) != "1324" {
		t.Fatal(columns)
	}
	if !reflect.DeepEqual(columns.PartitionEnds, []uint32{1, 1, 2, 3, 3, 3, 3, 4}) {
		t.Fatal(columns.PartitionEnds)
	}
}

func TestAnOutcomeIsNotChangedByWhatIsMadeOfIt(t *testing.T) {
	base := Kept().Partition("a", "1")
	one, two := base.Partition("b", "1"), base.Partition("b", "2")
	if one.String() != "kept a=1 b=1" || two.String() != "kept a=1 b=2" {
		t.Fatal(one, two)
	}
}

type order struct {
	ID   uint64 `json:"id"`
	Note string `json:"note"`
}

func TestTypedRecordsAreReadAndWrittenAsJSON(t *testing.T) {
	double := OverJSON(func(order order) (order2, error) {
		if order.ID == 2 {
			return order2{}, errors.New("refused")
		}
		return order2{order.ID * 2}, nil
	})
	out := run(t, double, `{"id":1}`, `{"id":2}`, `{"id":"x"}`)
	if got := outputs(out); !reflect.DeepEqual(got, []string{`0 {"ID":2}`}) {
		t.Fatal(got)
	}
	if got := out.Failures(); got[1] != "refused" || !strings.HasPrefix(got[2], "the record cannot be read: ") {
		t.Fatal(got)
	}
	route := OverJSON(func(order order) (Outcome, error) { return Dropped(), nil })
	if got := route(Record{Data: []byte(`{}`)}).String(); got != "dropped" {
		t.Fatal(got)
	}
	if got := ChangedTo(func() {}).String(); !strings.HasPrefix(got, "failed: the record cannot be written: ") {
		t.Fatal(got)
	}
}

type order2 struct{ ID uint64 }

func TestAWriteThatFailsLeavesNothing(t *testing.T) {
	batch := BatchOf([]byte("abc"))
	out := OutputFor(batch)
	for record := range batch.Records() {
		err := out.Append(record, func(payload []byte) ([]byte, error) {
			return append(payload, "half"...), errors.New("no")
		})
		if err == nil || out.Len() != 0 {
			t.Fatal("it was kept")
		}
		if err := out.Append(record, func(payload []byte) ([]byte, error) { return append(payload, "whole"...), nil }); err != nil {
			t.Fatal(err)
		}
	}
	if got := outputs(out); !reflect.DeepEqual(got, []string{"0 whole"}) {
		t.Fatal(got)
	}
}

func TestKeysAndNumbersOfRecords(t *testing.T) {
	batch := BatchOf([]byte("a"), []byte("bc"))
	batch.columns.Keys, batch.columns.KeyEnds, batch.columns.FirstSequence = []byte("k1k22"), []uint32{2, 5}, 7
	var seen []string
	for record := range batch.Records() {
		seen = append(seen, string(record.Data)+" "+string(record.Key)+" "+strconv.FormatUint(record.Sequence, 10))
	}
	if !reflect.DeepEqual(seen, []string{"a k1 7", "bc k22 8"}) {
		t.Fatal(seen)
	}
}

func TestABatchThatFailsOrPanicsIsAnError(t *testing.T) {
	for want, function := range map[string]func(*Batch, *Output) error{
		"later":       func(*Batch, *Output) error { return errors.New("later") },
		"panic: late": func(*Batch, *Output) error { panic("late") },
	} {
		export_transform.Function = nil
		Batches(function)
		if _, err := export_transform.Function(BatchOf().columns); err == nil || err.Error() != want {
			t.Fatal(err)
		}
	}
}
