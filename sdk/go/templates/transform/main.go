// Orders in a currency of the settings go on with their total; the others are dropped.
package main

import (
	"fmt"

	"millrace.local/millrace"
	"millrace.local/millrace/transform"
)

// Order is a record as it comes, JSON.
type Order struct {
	ID       uint64  `json:"id"`
	Currency string  `json:"currency"`
	Price    float64 `json:"price"`
	Count    uint32  `json:"count"`
}

// Priced is a record as it goes on.
type Priced struct {
	ID       uint64  `json:"id"`
	Currency string  `json:"currency"`
	Total    float64 `json:"total"`
}

func init() {
	transform.JSON(price)
}

func price(order Order) (transform.Outcome, error) {
	if order.Count == 0 {
		return transform.Outcome{}, fmt.Errorf("order %d is of nothing", order.ID)
	}
	if currency, isSet := millrace.Setting("CURRENCY"); isSet && currency != order.Currency {
		return transform.Dropped(), nil
	}
	total := order.Price * float64(order.Count)
	size := "small"
	if total >= 100 {
		size = "large"
	}
	return transform.ChangedTo(Priced{order.ID, order.Currency, total}).Partition("size", size), nil
}

// The host calls what init() gave it; main() does not run.
func main() {}
