package main

import (
	"testing"

	"millrace.local/millrace"
)

func TestSomebodyIsGreeted(t *testing.T) {
	answer, err := greet(millrace.Call(), Event{"Ada"})
	if err != nil || answer != (Answer{"Hello, Ada!", "test"}) {
		t.Fatalf("%v, %v", answer, err)
	}
}

func TestNobodyIsAnError(t *testing.T) {
	if _, err := greet(millrace.Call(), Event{}); err == nil || err.Error() != "nobody to greet" {
		t.Fatal(err)
	}
}
