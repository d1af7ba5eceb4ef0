// JSON in and out, with garbage for every record: what the collector has to keep up with. A record
// without a count fails, one with a negative count panics, a price of zero is dropped, and what is no
// JSON fails; each order goes on once for each of its items.
package main

import (
	"encoding/json"
	"errors"
	"strconv"

	"millrace.local/millrace/transform"
)

type order struct {
	ID    uint64   `json:"id"`
	Price float64  `json:"price"`
	Count *int     `json:"count"`
	Items []string `json:"items"`
}

type item struct {
	ID    string  `json:"id"`
	Name  string  `json:"name"`
	Total float64 `json:"total"`
}

func init() {
	transform.JSON(items)
}

func items(order order) (transform.Outcome, error) {
	if order.Count == nil {
		return transform.Outcome{}, errors.New("no count")
	}
	if order.Price == 0 {
		return transform.Dropped(), nil
	}
	total := order.Price * float64(make([]int, *order.Count)[*order.Count-1]+*order.Count)
	var records [][]byte
	for place, name := range order.Items {
		id := strconv.FormatUint(order.ID, 10) + "/" + strconv.Itoa(place)
		data, err := json.Marshal(item{id, name, total})
		if err != nil {
			return transform.Outcome{}, err
		}
		records = append(records, data)
	}
	return transform.Many(records...).Partition("count", strconv.Itoa(*order.Count)), nil
}

func main() {}
