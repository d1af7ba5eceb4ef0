//go:build !wasip1

package http

import "errors"

// StandIn answers requests natively, for tests.
var StandIn func(Request) (*Response, error)

func send(request Request) (*Response, error) {
	if StandIn == nil {
		return nil, errors.New("no host natively: set http.StandIn to what answers")
	}
	return StandIn(request)
}
