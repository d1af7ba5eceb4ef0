// Package transform makes a module of world transform: a function over records or over batches.
//
//	func init() { transform.Each(shout) }
//
//	func shout(record transform.Record) transform.Outcome {
//		return transform.Changed(bytes.ToUpper(record.Data)).Partition("kind", "loud")
//	}
//
//	func main() {}
//
// Exactly one function is given, in init(): a module's main() does not run.
package transform

import (
	"encoding/json"
	"fmt"
	"runtime/debug"

	"millrace.local/millrace"
	types "millrace.local/millrace/internal/bindings/imports/millrace_transform_types"
	"millrace.local/millrace/internal/collect"
	"millrace.local/millrace/internal/export_transform"
)

// After so many records of a batch, or so many bytes of them, it is looked whether to collect.
const (
	recordsBetween = 256
	bytesBetween   = 1 << 20
)

// Each has function called for each record. A panic fails the record.
func Each(function func(Record) Outcome) {
	Batches(func(batch *Batch, out *Output) error {
		records, size := 0, 0
		for record := range batch.Records() {
			guarded(function, record).put(record, out)
			records, size = records+1, size+len(record.Data)
			if records >= recordsBetween || size >= bytesBetween {
				collect.IfDue()
				records, size = 0, 0
			}
		}
		return nil
	})
}

// JSON has function called for each record, read from JSON. What it answers goes on as JSON in the
// record's place, or is the record's Outcome; an error fails the record, as does a record that is
// not a T.
func JSON[T, R any](function func(T) (R, error)) {
	Each(OverJSON(function))
}

// OverJSON is what JSON gives to Each: for tests.
func OverJSON[T, R any](function func(T) (R, error)) func(Record) Outcome {
	return func(record Record) Outcome {
		var value T
		if err := json.Unmarshal(record.Data, &value); err != nil {
			return Failed(fmt.Errorf("the record cannot be read: %w", err))
		}
		answer, err := function(value)
		if err != nil {
			return Failed(err)
		}
		if outcome, is := any(answer).(Outcome); is {
			return outcome
		}
		return ChangedTo(answer)
	}
}

// Batches has function called for each batch. An error fails the whole of it, and the host tries it
// again, then its halves. A panic is an error.
func Batches(function func(batch *Batch, out *Output) error) {
	if export_transform.Function != nil {
		panic("a module has one transform")
	}
	export_transform.Function = func(columns types.Batch) (output types.Output, err error) {
		defer func() {
			if panicked := recover(); panicked != nil {
				err = said(panicked)
			}
		}()
		batch := &Batch{columns}
		out := OutputFor(batch)
		if err := function(batch, out); err != nil {
			return types.Output{}, err
		}
		return out.finish(), nil
	}
}

func guarded(function func(Record) Outcome, record Record) (outcome Outcome) {
	defer func() {
		if panicked := recover(); panicked != nil {
			outcome = Failed(said(panicked))
		}
	}()
	return function(record)
}

// said logs a panic with its stack and answers it as an error.
func said(panicked any) error {
	millrace.Error("panic: %v\n%s", panicked, debug.Stack())
	return fmt.Errorf("panic: %v", panicked)
}
