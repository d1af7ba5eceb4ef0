// Package millrace is what a function may ask of its host. Packages transform and handler make a
// module of a function; keyvalue and http need a grant. Natively, in tests, the process stands in
// for the host.
package millrace

import (
	"context"
	"fmt"
	"time"
)

// Debug logs a line for who writes the function.
func Debug(format string, arguments ...any) { log(levelDebug, fmt.Sprintf(format, arguments...)) }

// Info logs a line for the record.
func Info(format string, arguments ...any) { log(levelInfo, fmt.Sprintf(format, arguments...)) }

// Warn logs a line that somebody should look at.
func Warn(format string, arguments ...any) { log(levelWarn, fmt.Sprintf(format, arguments...)) }

// Error logs a line about something that was not done.
func Error(format string, arguments ...any) { log(levelError, fmt.Sprintf(format, arguments...)) }

type level uint8

const (
	levelDebug level = iota
	levelInfo
	levelWarn
	levelError
)

// Setting is what the operator set under name, and whether it is set. Natively the environment
// variable of that name.
func Setting(name string) (value string, isSet bool) { return setting(name) }

// NowMs is wall time, milliseconds since the Unix epoch.
func NowMs() uint64 { return nowMs() }

// RandomBytes are length random bytes, at most 65,536, good enough for keys.
func RandomBytes(length uint32) []byte { return randomBytes(length) }

// Context is the running call. It is a context.Context with the call's deadline; it has no timer.
type Context struct {
	// RequestID names this call in logs and answers.
	RequestID string
	// FunctionName is the function's name.
	FunctionName string
	// FunctionVersion is the published version, or $LATEST.
	FunctionVersion string
	// MemoryLimitBytes is the memory that an instance may have.
	MemoryLimitBytes uint64
	// DeadlineMs is when the call is ended, milliseconds since the Unix epoch.
	DeadlineMs uint64
	// ClientContext is X-Amz-Client-Context of an invocation, decoded; empty where there is none.
	ClientContext string
}

var _ context.Context = (*Context)(nil)

// Call is the running call. Natively one for tests: function test, version $LATEST, 64 MiB, five
// seconds.
func Call() *Context { return call() }

// RemainingMs are the milliseconds until the call is ended.
func (c *Context) RemainingMs() uint64 {
	now := NowMs()
	return c.DeadlineMs - min(now, c.DeadlineMs)
}

// Deadline is when the call is ended.
func (c *Context) Deadline() (deadline time.Time, ok bool) {
	return time.UnixMilli(int64(c.DeadlineMs)), true
}

// Done is nil: the host ends a call that is late, nothing in it waits for that.
func (c *Context) Done() <-chan struct{} { return nil }

// Err is context.DeadlineExceeded once the deadline has passed.
func (c *Context) Err() error {
	if c.RemainingMs() == 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// Value is always nil.
func (c *Context) Value(any) any { return nil }
