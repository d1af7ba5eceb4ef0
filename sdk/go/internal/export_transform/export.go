// Package export_transform is what the generated export of world transform calls.
package export_transform

import (
	types "millrace.local/millrace/internal/bindings/imports/millrace_transform_types"
	"millrace.local/millrace/internal/collect"
	wit "millrace.local/millrace/internal/wit/types"
)

// Function is what package transform was given.
var Function func(types.Batch) (types.Output, error)

// Transform turns one batch. An error means that nothing of it was processed.
func Transform(batch types.Batch) wit.Result[types.Output, string] {
	collect.IfDue()
	if Function == nil {
		return wit.Err[types.Output]("no function: call transform.Each, transform.JSON or transform.Batches in init()")
	}
	output, err := Function(batch)
	if err != nil {
		return wit.Err[types.Output](err.Error())
	}
	return wit.Ok[types.Output, string](output)
}
