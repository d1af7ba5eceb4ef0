//go:build !wasip1

package millrace

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"
)

func log(level level, line string) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", [...]string{"debug", "info", "warn", "error"}[level], line)
}

func setting(name string) (string, bool) { return os.LookupEnv(name) }

func nowMs() uint64 { return uint64(time.Now().UnixMilli()) }

func randomBytes(length uint32) []byte {
	bytes := make([]byte, length)
	// It never fails.
	_, _ = rand.Read(bytes)
	return bytes
}

func call() *Context {
	return &Context{
		RequestID:        "00000000-0000-0000-0000-000000000000",
		FunctionName:     "test",
		FunctionVersion:  "$LATEST",
		MemoryLimitBytes: 64 << 20,
		DeadlineMs:       nowMs() + 5_000,
	}
}
