// Package keyvalue is small state of the function's own, shared by its versions and instances. It
// needs the grant key_value = true. Natively, in tests, a map of the process stands in for it.
//
// Writes become durable together when the call has answered well; a call that fails leaves nothing.
// Reads see the call's own writes.
package keyvalue

// Get is the value of a key, and whether there is one.
func Get(key string) (value []byte, isSet bool, err error) { return get(key) }

// Set sets a key of 1 to 256 bytes to a value of at most 64 KiB.
func Set(key string, value []byte) error { return set(key, value) }

// Delete removes a key; it need not be there.
func Delete(key string) error { return remove(key) }

// Keys are the keys that begin with prefix, in order, at most 1,000. With after, which may be empty,
// those behind it.
func Keys(prefix, after string) ([]string, error) { return keys(prefix, after) }
