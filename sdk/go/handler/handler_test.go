//go:build !wasip1

package handler

import (
	"errors"
	"strings"
	"testing"

	"millrace.local/millrace"
	"millrace.local/millrace/http"
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
