// Every record as it is, one by one.
package main

import "millrace.local/millrace/transform"

func init() {
	transform.Each(func(transform.Record) transform.Outcome { return transform.Kept() })
}

func main() {}
