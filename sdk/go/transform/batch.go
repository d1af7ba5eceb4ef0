package transform

import (
	"iter"

	types "millrace.local/millrace/internal/bindings/imports/millrace_transform_types"
)

// Batch is some records of one shard, in order.
type Batch struct {
	columns types.Batch
}

// BatchOf is a batch of records without partition keys, which arrived at the Unix epoch: for tests.
func BatchOf(records ...[]byte) *Batch {
	var columns types.Batch
	for _, record := range records {
		columns.Payload = append(columns.Payload, record...)
		columns.Ends = append(columns.Ends, uint32(len(columns.Payload)))
		columns.ArrivalsMs = append(columns.ArrivalsMs, 0)
	}
	return &Batch{columns}
}

// Len is the number of records.
func (b *Batch) Len() int {
	return len(b.columns.Ends)
}

// Payload is all records, one behind the other.
func (b *Batch) Payload() []byte {
	return b.columns.Payload
}

// Records are the records in order. They are parts of the batch: nothing is copied.
func (b *Batch) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		columns := &b.columns
		var start, keyStart uint32
		for index, end := range columns.Ends {
			record := Record{
				Data:      columns.Payload[start:end:end],
				ArrivalMs: columns.ArrivalsMs[index],
				Sequence:  columns.FirstSequence + uint64(index),
				Index:     index,
			}
			start = end
			if len(columns.KeyEnds) != 0 {
				keyEnd := columns.KeyEnds[index]
				record.Key = columns.Keys[keyStart:keyEnd:keyEnd]
				keyStart = keyEnd
			}
			if !yield(record) {
				return
			}
		}
	}
}
