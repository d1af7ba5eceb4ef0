//go:build !wasip1

package keyvalue

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// keysMax is how many keys one call answers at most.
const keysMax = 1_000

var (
	mutex   sync.Mutex
	standIn = map[string][]byte{}
)

func get(key string) ([]byte, bool, error) {
	mutex.Lock()
	defer mutex.Unlock()
	value, isSet := standIn[key]
	return bytes.Clone(value), isSet, nil
}

func set(key string, value []byte) error {
	mutex.Lock()
	defer mutex.Unlock()
	standIn[key] = bytes.Clone(value)
	return nil
}

func remove(key string) error {
	mutex.Lock()
	defer mutex.Unlock()
	delete(standIn, key)
	return nil
}

func keys(prefix, after string) ([]string, error) {
	mutex.Lock()
	defer mutex.Unlock()
	var found []string
	for key := range standIn {
		if strings.HasPrefix(key, prefix) && key > after {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	return found[:min(len(found), keysMax)], nil
}
