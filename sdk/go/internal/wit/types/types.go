// From go.bytecodealliance.org/pkg 0.4.0 (Apache-2.0 WITH LLVM-exception), cut to what the bindings use.

package wit_types

type Unit struct{}

type Tuple2[T0 any, T1 any] struct {
	F0 T0
	F1 T1
}
