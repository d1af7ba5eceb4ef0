package handler

import (
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"millrace.local/millrace"
	"millrace.local/millrace/http"
	"millrace.local/millrace/internal/collect"
	"millrace.local/millrace/internal/export_handler"
	"millrace.local/millrace/keyvalue"
)

func call(function func(*millrace.Context, []byte) ([]byte, error), event string) (string, error) {
	export_handler.Function = nil
	Bytes(function)
	answer, err := export_handler.Function([]byte(event))
	return string(answer), err
}

func TestHandlersAnswerBytesOrJSON(t *testing.T) {
	echo := func(_ *millrace.Context, event []byte) ([]byte, error) { return event, nil }
	if answer, err := call(echo, "abc"); answer != "abc" || err != nil {
		t.Fatal(answer, err)
	}
	version := OverJSON(func(call *millrace.Context, event int) ([]string, error) {
		if event == 0 {
			return nil, errors.New("nothing")
		}
		return []string{call.FunctionVersion}, nil
	})
	if answer, err := call(version, "1"); answer != `["$LATEST"]` || err != nil {
		t.Fatal(answer, err)
	}
	if _, err := call(version, "0"); err == nil || err.Error() != "nothing" {
		t.Fatal(err)
	}
	if _, err := call(version, "x"); err == nil || !strings.HasPrefix(err.Error(), "the event cannot be read: ") {
		t.Fatal(err)
	}
}

// counting notes, when it is written, how many collections there have been.
type counting struct{ at *uint32 }

func (answer counting) MarshalJSON() ([]byte, error) {
	*answer.at = collections()
	return []byte("1"), nil
}

func collections() uint32 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.NumGC
}

var kept [][]byte

func TestGarbageIsCollectedBetweenTheSteps(t *testing.T) {
	// As in a module: the collector does not start by itself.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	collect.IfDue()
	var calling, writing uint32
	function := OverJSON(func(_ *millrace.Context, event []string) (counting, error) {
		calling = collections()
		for range 64 {
			kept = [][]byte{make([]byte, 1<<20)}
		}
		return counting{&writing}, nil
	})
	event := []byte("[" + strings.Repeat(`"`+strings.Repeat("x", 1<<20)+`",`, 32) + `""]`)
	before := collections()
	if _, err := function(nil, event); err != nil {
		t.Fatal(err)
	}
	if calling == before || writing == calling {
		t.Fatalf("%d collections before it was read, %d when the function ran, %d when the answer was written", before, calling, writing)
	}
}

func TestAPanicIsAnError(t *testing.T) {
	_, err := call(func(*millrace.Context, []byte) ([]byte, error) { panic("oh") }, "")
	if err == nil || err.Error() != "panic: oh" {
		t.Fatal(err)
	}
}

func TestStandInsAnswerNatively(t *testing.T) {
	for _, key := range []string{"b/1", "b/2", "c"} {
		if err := keyvalue.Set(key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if keys, err := keyvalue.Keys("b/", "b/1"); len(keys) != 1 || keys[0] != "b/2" || err != nil {
		t.Fatal(keys, err)
	}
	if err := keyvalue.Delete("c"); err != nil {
		t.Fatal(err)
	}
	if _, isSet, _ := keyvalue.Get("c"); isSet {
		t.Fatal("it is there")
	}
	if _, err := http.Get("https://a.example/"); err == nil {
		t.Fatal("who answered?")
	}
	http.StandIn = func(request http.Request) (*http.Response, error) {
		return &http.Response{Status: 200, Headers: []http.Header{{Name: "etag", Value: []byte(request.Method)}}}, nil
	}
	if answer, err := http.Get("https://a.example/"); err != nil || string(answer.Header("etag")) != "GET" {
		t.Fatal(answer, err)
	}
}
