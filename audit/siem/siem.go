package siem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// A Product is the program that produces the events. Its methods are encoders
// for [audit.Lines] and the functions of this package.
type Product struct {
	Vendor  string // manufacturer
	Name    string // name of the program; OCSF requires it
	Version string // version of the program

	// Classify returns the class of an event, in place of the default class. A
	// zero field of its result stands for the default. Classify must neither
	// change nor keep the event. It may be nil.
	Classify func(*audit.Event) Class
}

// A record is an event that was encoded as JSON and decoded. It is bounded and
// valid UTF-8, and its attributes are JSON.
type record struct {
	Time      time.Time       `json:"time"`
	ID        string          `json:"id"`
	Action    audit.Action    `json:"action"`
	Outcome   audit.Outcome   `json:"outcome"`
	Actor     audit.Actor     `json:"actor"`
	Target    audit.Target    `json:"target"`
	RequestID string          `json:"request_id"`
	Source    string          `json:"source"`
	Reason    string          `json:"reason"`
	Code      audit.Code      `json:"code"`
	Changes   json.RawMessage `json:"changes"`
	Attrs     json.RawMessage `json:"attrs"`
	Truncated bool            `json:"truncated"`
}

func recordOf(e *audit.Event) (r record) {
	if err := json.Unmarshal(e.AppendJSON(nil), &r); err != nil {
		panic("siem: " + err.Error()) // AppendJSON always writes valid JSON
	}
	return r
}

// appendJSON appends v, whose texts are from a record. It also escapes the
// runes that control a terminal, which occur only inside texts.
func appendJSON(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("siem: " + err.Error()) // v contains texts, numbers and valid JSON
	}
	for _, r := range string(b) {
		if unsafeRune(r) {
			dst = fmt.Appendf(dst, `\u%04x`, r)
		} else {
			dst = append(dst, string(r)...)
		}
	}
	return dst
}

// unsafeRune reports whether r can control a terminal, break a line or change
// the direction of text.
func unsafeRune(r rune) bool {
	return r < 0x20 || 0x7f <= r && r <= 0x9f || r == 0x061c || r == 0x200e || r == 0x200f ||
		0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// object returns an object of alternating keys and values. It leaves out empty
// values, because a SIEM indexes every key. Numbers are never empty.
func object(kv ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		switch v := kv[i+1].(type) {
		case string:
			if v == "" {
				continue
			}
		case bool:
			if !v {
				continue
			}
		case json.RawMessage:
			if len(v) == 0 {
				continue
			}
		case map[string]any:
			if len(v) == 0 {
				continue
			}
		case []string:
			if len(v) == 0 {
				continue
			}
		}
		m[kv[i].(string)] = kv[i+1]
	}
	return m
}

// flat returns attributes as texts such as "order.id=17", sorted by key. Texts
// of a list, unlike an object, add no fields to the index of a SIEM, and have
// one type whatever the type of the attribute is.
func flat(attrs json.RawMessage) (out []string) {
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(attrs))
	d.UseNumber()
	if d.Decode(&v) == nil {
		flatten("", v, &out)
	}
	return out
}

func flatten(prefix string, v any, out *[]string) {
	m, ok := v.(map[string]any)
	if !ok {
		*out = append(*out, fmt.Sprint(prefix, "=", v))
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		key := k
		if prefix != "" {
			key = prefix + "." + k
		}
		flatten(key, m[k], out)
	}
}
