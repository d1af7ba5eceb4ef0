package http

import (
	"errors"

	host "millrace.local/millrace/internal/bindings/imports/millrace_transform_http"
	wit "millrace.local/millrace/internal/wit/types"
)

func send(request Request) (*Response, error) {
	asked := host.Request{
		Method:    request.Method,
		Url:       request.URL,
		Body:      request.Body,
		TimeoutMs: wit.None[uint32](),
	}
	for _, header := range request.Headers {
		asked.Headers = append(asked.Headers, wit.Tuple2[string, []byte]{F0: header.Name, F1: header.Value})
	}
	if request.TimeoutMs != 0 {
		asked.TimeoutMs = wit.Some(request.TimeoutMs)
	}
	result := host.Send(asked)
	if result.IsErr() {
		return nil, errors.New(result.Err())
	}
	got := result.Ok()
	answer := &Response{Status: got.Status, Body: got.Body}
	for _, header := range got.Headers {
		answer.Headers = append(answer.Headers, Header{header.F0, header.F1})
	}
	return answer, nil
}
