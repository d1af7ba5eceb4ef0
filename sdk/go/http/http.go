// Package http sends requests to hosts that the grant http = ["api.example.com"] names. Natively, in
// tests, StandIn answers them.
package http

// Header is one header. Names of an answer are in lower case.
type Header struct {
	Name  string
	Value []byte
}

// Request is a request.
type Request struct {
	// Method is GET, POST, …; GET when it is empty.
	Method string
	// URL is https://host[:port]/path?query, or http:// where the grant says so.
	URL string
	// Headers are sent in this order.
	Headers []Header
	// Body is empty for none.
	Body []byte
	// TimeoutMs bounds the whole exchange; 0 is what the call has left, and never is it more.
	TimeoutMs uint32
}

// Response is an answer. Redirects are answers: the function decides.
type Response struct {
	// Status is the status code.
	Status uint16
	// Headers are the answer's.
	Headers []Header
	// Body is the answer's.
	Body []byte
}

// Header is the first value of a header by its name in lower case; nil where there is none.
func (r *Response) Header(name string) []byte {
	for _, header := range r.Headers {
		if header.Name == name {
			return header.Value
		}
	}
	return nil
}

// Get sends a GET.
func Get(url string) (*Response, error) {
	return Send(Request{URL: url})
}

// Send sends a request and waits for the answer.
func Send(request Request) (*Response, error) {
	if request.Method == "" {
		request.Method = "GET"
	}
	return send(request)
}
