// From go.bytecodealliance.org/pkg 0.4.0 (Apache-2.0 WITH LLVM-exception), cut to what the bindings use.

// Package runtime allocates what crosses the boundary.
//
// Changed: the allocation that the host asks for does not pause the clock of WASI's adapter, because
// no collection can run in it (see package collect).
package runtime

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Allocate answers memory that stays where it is until pinner is told to unpin.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	pointer := allocateRaw(size, align)
	pinner.Pin(pointer)
	return pointer
}

func allocateRaw(size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}

	if size%align != 0 {
		panic(fmt.Sprintf("size %v is not compatible with alignment %v", size, align))
	}

	switch align {
	case 1:
		return unsafe.Pointer(unsafe.SliceData(make([]uint8, size)))
	case 2:
		return unsafe.Pointer(unsafe.SliceData(make([]uint16, size/align)))
	case 4:
		return unsafe.Pointer(unsafe.SliceData(make([]uint32, size/align)))
	case 8:
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, size/align)))
	default:
		panic(fmt.Sprintf("unsupported alignment: %v", align))
	}
}

var pinner = runtime.Pinner{}

// Unpin lets go of what the host had allocated: the values that were made of it keep it.
func Unpin() {
	pinner.Unpin()
}
