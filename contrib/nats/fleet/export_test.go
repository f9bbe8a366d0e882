package fleet

import (
	"encoding/json"

	"github.com/nats-io/nats.go"

	"github.com/redoubt-go/redoubt/logscan"
)

// Escape and Literal are exported for tests.
var (
	Escape  = escape
	Literal = literal
)

// LeaseText returns the lease in b as text.
func LeaseText(b []byte) (string, error) {
	l, err := parseLease(b)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(l)
	return string(text), err
}

// RecordOf returns the record with the headers h.
func RecordOf(h nats.Header) Record {
	r := Record{Record: &logscan.Record{}}
	r.setHeaders(h)
	r.setTime(h)
	return r
}
