// Package collect decides when garbage is collected.
//
// The host may not be called while it allocates in the guest, and the collector reads the clock: a
// collection that began there would end the instance with "cannot leave component instance". So the
// collector never starts by itself. It runs where calls to the host are allowed: when a call begins,
// and within it between records.
package collect

import (
	"runtime"
	"runtime/metrics"
)

// AfterBytes is how much may be allocated between two collections.
const AfterBytes = 8 << 20

const (
	allocated = "/gc/heap/allocs:bytes"
	live      = "/gc/heap/live:bytes"
)

var (
	samples = []metrics.Sample{{Name: allocated}, {Name: live}}
	last    uint64
)

// IfDue collects when as much was allocated as lives, and at least AfterBytes. It is called where a
// call of the host has begun.
func IfDue() {
	metrics.Read(samples)
	if samples[0].Value.Uint64()-last < max(AfterBytes, samples[1].Value.Uint64()) {
		return
	}
	runtime.GC()
	metrics.Read(samples)
	last = samples[0].Value.Uint64()
}
