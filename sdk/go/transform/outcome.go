package transform

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Outcome is what becomes of one record. The zero value is Dropped.
type Outcome struct {
	kind    kind
	outputs [][]byte
	reason  string
	keys    []partition
}

type kind uint8

const (
	dropped kind = iota
	kept
	changed
	failed
)

type partition struct{ name, value string }

// Kept goes on as it is.
func Kept() Outcome {
	return Outcome{kind: kept}
}

// Changed has data go on in the record's place.
func Changed(data []byte) Outcome {
	return Outcome{kind: changed, outputs: [][]byte{data}}
}

// ChangedTo has the JSON of value go on in the record's place. What cannot be written fails the record.
func ChangedTo(value any) Outcome {
	data, err := json.Marshal(value)
	if err != nil {
		return Failed(fmt.Errorf("the record cannot be written: %w", err))
	}
	return Changed(data)
}

// Many has several records go on in the record's place; none is as Dropped.
func Many(records ...[]byte) Outcome {
	return Outcome{kind: changed, outputs: records}
}

// Dropped goes nowhere, and that is right.
func Dropped() Outcome {
	return Outcome{}
}

// Failed cannot be processed: the record goes to the error output with the reason.
func Failed(reason error) Outcome {
	return Outcome{kind: failed, reason: reason.Error()}
}

// Partition gives what goes on the value of a partition key, for !{partitionKeyFromLambda:name}.
func (o Outcome) Partition(name, value string) Outcome {
	o.keys = append(o.keys[:len(o.keys):len(o.keys)], partition{name, value})
	return o
}

// String is the outcome in one line, for tests: `changed "A" "B" kind=loud`, `failed: why`.
func (o Outcome) String() string {
	var text strings.Builder
	switch o.kind {
	case kept:
		text.WriteString("kept")
	case failed:
		return "failed: " + o.reason
	default:
		if len(o.outputs) == 0 {
			return "dropped"
		}
		text.WriteString("changed")
	}
	for _, output := range o.outputs {
		fmt.Fprintf(&text, " %q", output)
	}
	for _, key := range o.keys {
		fmt.Fprintf(&text, " %s=%s", key.name, key.value)
	}
	return text.String()
}

// put writes the outcome of record into out.
func (o Outcome) put(record Record, out *Output) {
	switch o.kind {
	case kept:
		out.Keep(record)
		out.partitions(o.keys)
	case changed:
		for _, data := range o.outputs {
			out.Push(record, data)
			out.partitions(o.keys)
		}
	case failed:
		out.Fail(record, o.reason)
	}
}
