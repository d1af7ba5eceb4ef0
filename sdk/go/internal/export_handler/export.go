// Package export_handler is what the generated export of world handler calls.
package export_handler

import (
	"millrace.local/millrace/internal/collect"
	wit "millrace.local/millrace/internal/wit/types"
)

// Function is what package handler was given.
var Function func([]byte) ([]byte, error)

// Handle answers one event. An error is the error message of the invocation.
func Handle(event []byte) wit.Result[[]byte, string] {
	collect.IfDue()
	if Function == nil {
		return wit.Err[[]byte]("no function: call handler.Bytes or handler.JSON in init()")
	}
	answer, err := Function(event)
	if err != nil {
		return wit.Err[[]byte](err.Error())
	}
	return wit.Ok[[]byte, string](answer)
}
