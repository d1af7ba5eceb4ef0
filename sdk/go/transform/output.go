package transform

import (
	types "millrace.local/millrace/internal/bindings/imports/millrace_transform_types"
)

// Output is the output of a batch. Records are written in the order of the batch; a record that is
// neither written nor failed is dropped.
type Output struct {
	columns types.Output
	names   []string
	values  []byte
	cells   []cell
}

// cell is the value of partition key name of output record row: up to end in the values, from where
// the cell before it ends.
type cell struct{ row, name, end uint32 }

// OutputFor is an output with room for what batch will probably become.
func OutputFor(batch *Batch) *Output {
	bytes := len(batch.Payload())
	return &Output{columns: types.Output{
		Payload: make([]byte, 0, bytes+bytes/8+64),
		Ends:    make([]uint32, 0, batch.Len()),
		Sources: make([]uint32, 0, batch.Len()),
	}}
}

// Len is the number of output records.
func (o *Output) Len() int {
	return len(o.columns.Ends)
}

// At is output record index and the index of its source: for tests.
func (o *Output) At(index int) (data []byte, source int) {
	start := uint32(0)
	if index > 0 {
		start = o.columns.Ends[index-1]
	}
	return o.columns.Payload[start:o.columns.Ends[index]], int(o.columns.Sources[index])
}

// Failures are the failed records' indexes and reasons: for tests.
func (o *Output) Failures() map[int]string {
	failures := make(map[int]string, len(o.columns.Failures))
	for _, failure := range o.columns.Failures {
		failures[int(failure.Index)] = failure.Reason
	}
	return failures
}

// Keep has record go on as it is.
func (o *Output) Keep(record Record) {
	o.Push(record, record.Data)
}

// Push has data go on, made of record. It may be called several times for a record.
func (o *Output) Push(record Record, data []byte) {
	o.columns.Payload = append(o.columns.Payload, data...)
	o.end(record)
}

// Append has what write appends go on, made of record: nothing is copied. What it appended is taken
// back when it fails.
func (o *Output) Append(record Record, write func(payload []byte) ([]byte, error)) error {
	payload, err := write(o.columns.Payload)
	if err != nil {
		return err
	}
	if len(payload) < len(o.columns.Payload) {
		panic("write appends to the payload and answers it")
	}
	o.columns.Payload = payload
	o.end(record)
	return nil
}

// Fail has record go to the error output with reason.
func (o *Output) Fail(record Record, reason string) {
	o.columns.Failures = append(o.columns.Failures, types.Failure{Index: uint32(record.Index), Reason: reason})
}

// Partition gives the record that was written last the value of a partition key.
func (o *Output) Partition(name, value string) {
	if len(o.columns.Ends) == 0 {
		panic("a partition key belongs to a record that was written")
	}
	at := -1
	for known := range o.names {
		if o.names[known] == name {
			at = known
			break
		}
	}
	if at < 0 {
		at = len(o.names)
		o.names = append(o.names, name)
	}
	o.values = append(o.values, value...)
	o.cells = append(o.cells, cell{uint32(len(o.columns.Ends) - 1), uint32(at), uint32(len(o.values))})
}

func (o *Output) partitions(keys []partition) {
	for _, key := range keys {
		o.Partition(key.name, key.value)
	}
}

func (o *Output) end(record Record) {
	o.columns.Ends = append(o.columns.Ends, uint32(len(o.columns.Payload)))
	o.columns.Sources = append(o.columns.Sources, uint32(record.Index))
}

// finish is the output with its partition keys row by row. A value given twice is the last one.
func (o *Output) finish() types.Output {
	rows, names := len(o.columns.Ends), len(o.names)
	if names == 0 {
		return o.columns
	}
	type place struct{ start, end uint32 }
	places := make([]place, rows*names)
	start := uint32(0)
	for _, cell := range o.cells {
		places[int(cell.row)*names+int(cell.name)] = place{start, cell.end}
		start = cell.end
	}
	values := make([]byte, 0, len(o.values))
	ends := make([]uint32, 0, len(places))
	for _, place := range places {
		values = append(values, o.values[place.start:place.end]...)
		ends = append(ends, uint32(len(values)))
	}
	o.columns.PartitionNames = o.names
	o.columns.PartitionValues = values
	o.columns.PartitionEnds = ends
	return o.columns
}
