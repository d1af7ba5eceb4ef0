package transform

import "encoding/json"

// Record is one record of a batch.
type Record struct {
	// Data is the record. It must not be changed: what goes on as it is is the same memory.
	Data []byte
	// Key is the partition key, nil where the source has none.
	Key []byte
	// ArrivalMs is when the record arrived, milliseconds since the Unix epoch.
	ArrivalMs int64
	// Sequence is the record's number in its shard: the same whenever it is processed.
	Sequence uint64
	// Index is the record's place in the batch, from 0.
	Index int
}

// JSON reads the record's JSON into value.
func (r Record) JSON(value any) error {
	return json.Unmarshal(r.Data, value)
}
