package main

import "testing"

func TestAnOrderGetsItsTotal(t *testing.T) {
	outcome, err := price(Order{ID: 1, Currency: "EUR", Price: 2.5, Count: 4})
	want := `changed "{\"id\":1,\"currency\":\"EUR\",\"total\":10}" size=small`
	if err != nil || outcome.String() != want {
		t.Fatalf("%v, %v", outcome, err)
	}
}

func TestAnOrderOfNothingFails(t *testing.T) {
	if _, err := price(Order{ID: 7, Currency: "EUR", Price: 1}); err == nil || err.Error() != "order 7 is of nothing" {
		t.Fatal(err)
	}
}
