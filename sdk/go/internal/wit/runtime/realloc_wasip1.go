// From go.bytecodealliance.org/pkg 0.4.0 (Apache-2.0 WITH LLVM-exception), cut to what the bindings use.

package runtime

import "unsafe"

// The host allocates before Go's runtime has started: the adapter of WASI keeps its state (one page of
// 64 KiB), its stack and what the runtime reads of the environment in the module's memory. That is
// taken from here. (Upstream takes it by `runtime.sbrk`, which the linker gives to nobody without
// `-checklinkname=0`.)
var (
	early     [earlyBytes / 8]uint64
	earlyUsed uintptr
)

const earlyBytes = 512 << 10

var hasStarted = false

func init() {
	hasStarted = true
}

//go:wasmexport cabi_realloc
func cabiRealloc(oldPointer unsafe.Pointer, oldSize, align, newSize uintptr) unsafe.Pointer {
	if oldPointer != nil || oldSize != 0 {
		panic("the host only asks for new memory")
	}
	if hasStarted {
		return Allocate(&pinner, newSize, align)
	}
	start := (earlyUsed + align - 1) &^ (align - 1)
	if newSize > earlyBytes-start {
		panic("the host asks for too much before the start")
	}
	earlyUsed = start + newSize
	return unsafe.Add(unsafe.Pointer(&early), start)
}
