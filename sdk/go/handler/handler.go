// Package handler makes a module of world handler: a function over one event, as AWS Lambda has it.
//
//	func init() { handler.JSON(greet) }
//
//	func greet(call *millrace.Context, event Event) (Answer, error) { … }
//
//	func main() {}
//
// Exactly one function is given, in init(): a module's main() does not run.
package handler

import (
	"encoding/json"
	"fmt"
	"runtime/debug"

	"millrace.local/millrace"
	"millrace.local/millrace/internal/collect"
	"millrace.local/millrace/internal/export_handler"
)

// Bytes has function called with each event as it came. An error is the error message of the
// invocation; so is a panic.
func Bytes(function func(call *millrace.Context, event []byte) ([]byte, error)) {
	if export_handler.Function != nil {
		panic("a module has one handler")
	}
	export_handler.Function = func(event []byte) (answer []byte, err error) {
		defer func() {
			if panicked := recover(); panicked != nil {
				millrace.Error("panic: %v\n%s", panicked, debug.Stack())
				err = fmt.Errorf("panic: %v", panicked)
			}
		}()
		return function(millrace.Call(), event)
	}
}

// JSON has function called with each event, read from JSON, and writes its answer as JSON.
func JSON[T, R any](function func(call *millrace.Context, event T) (R, error)) {
	Bytes(OverJSON(function))
}

// OverJSON is what JSON gives to Bytes: for tests. What reading the event and the function left behind is
// collected, where it is much, before the next step allocates.
func OverJSON[T, R any](function func(*millrace.Context, T) (R, error)) func(*millrace.Context, []byte) ([]byte, error) {
	return func(call *millrace.Context, event []byte) ([]byte, error) {
		var value T
		if err := json.Unmarshal(event, &value); err != nil {
			return nil, fmt.Errorf("the event cannot be read: %w", err)
		}
		collect.IfDue()
		answer, err := function(call, value)
		if err != nil {
			return nil, err
		}
		collect.IfDue()
		written, err := json.Marshal(answer)
		if err != nil {
			return nil, fmt.Errorf("the answer cannot be written: %w", err)
		}
		return written, nil
	}
}
