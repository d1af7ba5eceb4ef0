// A handler that counts the names it was called with, in the key-value state. The event is
// {"name": "…"}; no name is an error, the name `panic` a panic.
package main

import (
	"errors"
	"strconv"

	"millrace.local/millrace"
	"millrace.local/millrace/handler"
	"millrace.local/millrace/keyvalue"
)

type event struct {
	Name string `json:"name"`
}

type answer struct {
	Count    int    `json:"count"`
	Function string `json:"function"`
	Names    int    `json:"names"`
}

func init() {
	handler.JSON(count)
}

func count(call *millrace.Context, event event) (answer, error) {
	switch event.Name {
	case "":
		return answer{}, errors.New("no name")
	case "panic":
		panic(event.Name)
	}
	value, _, err := keyvalue.Get("name/" + event.Name)
	if err != nil {
		return answer{}, err
	}
	// No value yet is no number: 0.
	before, _ := strconv.Atoi(string(value))
	if err := keyvalue.Set("name/"+event.Name, []byte(strconv.Itoa(before+1))); err != nil {
		return answer{}, err
	}
	names, err := keyvalue.Keys("name/", "")
	return answer{before + 1, call.FunctionName, len(names)}, err
}

func main() {}
