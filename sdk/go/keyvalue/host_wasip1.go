package keyvalue

import (
	"errors"

	host "millrace.local/millrace/internal/bindings/imports/millrace_transform_key_value"
	wit "millrace.local/millrace/internal/wit/types"
)

func get(key string) ([]byte, bool, error) {
	result := host.Get(key)
	if result.IsErr() {
		return nil, false, errors.New(result.Err())
	}
	value := result.Ok()
	return value.SomeOr(nil), value.IsSome(), nil
}

func set(key string, value []byte) error { return failure(host.Set(key, value)) }

func remove(key string) error { return failure(host.Delete(key)) }

func keys(prefix, after string) ([]string, error) {
	behind := wit.None[string]()
	if after != "" {
		behind = wit.Some(after)
	}
	result := host.Keys(prefix, behind)
	if result.IsErr() {
		return nil, errors.New(result.Err())
	}
	return result.Ok(), nil
}

func failure(result wit.Result[wit.Unit, string]) error {
	if result.IsErr() {
		return errors.New(result.Err())
	}
	return nil
}
