// Greets by name, with the greeting of the settings.
package main

import (
	"errors"

	"millrace.local/millrace"
	"millrace.local/millrace/handler"
)

// Event is the event, JSON.
type Event struct {
	Name string `json:"name"`
}

// Answer is the answer, JSON.
type Answer struct {
	Message  string `json:"message"`
	Function string `json:"function"`
}

func init() {
	handler.JSON(greet)
}

func greet(call *millrace.Context, event Event) (Answer, error) {
	if event.Name == "" {
		return Answer{}, errors.New("nobody to greet")
	}
	millrace.Info("%s: greeting with %d ms left", call.RequestID, call.RemainingMs())
	greeting, isSet := millrace.Setting("GREETING")
	if !isSet {
		greeting = "Hello"
	}
	return Answer{greeting + ", " + event.Name + "!", call.FunctionName}, nil
}

// The host calls what init() gave it; main() does not run.
func main() {}
