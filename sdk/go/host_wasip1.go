package millrace

import (
	hostclock "millrace.local/millrace/internal/bindings/imports/millrace_transform_clock"
	hostinvocation "millrace.local/millrace/internal/bindings/imports/millrace_transform_invocation"
	hostlog "millrace.local/millrace/internal/bindings/imports/millrace_transform_log"
	hostrandom "millrace.local/millrace/internal/bindings/imports/millrace_transform_random"
	hostsettings "millrace.local/millrace/internal/bindings/imports/millrace_transform_settings"
)

func log(level level, line string) { hostlog.Log(hostlog.Level(level), line) }

func setting(name string) (string, bool) {
	value := hostsettings.Get(name)
	return value.SomeOr(""), value.IsSome()
}

func nowMs() uint64 { return hostclock.NowMs() }

func randomBytes(length uint32) []byte { return hostrandom.Bytes(length) }

func call() *Context {
	current := hostinvocation.Current()
	return &Context{
		RequestID:        current.RequestId,
		FunctionName:     current.FunctionName,
		FunctionVersion:  current.FunctionVersion,
		MemoryLimitBytes: current.MemoryLimitBytes,
		DeadlineMs:       current.DeadlineMs,
		ClientContext:    current.ClientContext.SomeOr(""),
	}
}
