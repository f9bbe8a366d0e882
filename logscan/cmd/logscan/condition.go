package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

// A condition is FIELD OPERATOR VALUE, or a text that the line contains.
type condition struct {
	field string
	op    string // "" for a text
	value string
	re    *regexp.Regexp
	num   float64
	unit  bool // num is a duration in ns
}

// operators are the operators, the longer before the shorter.
var operators = []string{"!=", "<=", ">=", "!~", "=", "<", ">", "~"}

// parseCondition parses a condition.
func parseCondition(text string) (c condition, err error) {
	i := strings.IndexAny(text, "=<>~!")
	if i <= 0 || strings.ContainsAny(text[:i], " \"'") {
		return condition{value: text}, nil
	}
	for _, op := range operators {
		if !strings.HasPrefix(text[i:], op) {
			continue
		}
		c = condition{field: text[:i], op: op, value: text[i+len(op):]}
		switch op {
		case "~", "!~":
			if c.re, err = regexp.Compile(c.value); err != nil {
				err = fmt.Errorf("condition %q: %w", text, err)
			}
		case "<", "<=", ">", ">=":
			if d, e := time.ParseDuration(c.value); e == nil {
				c.num, c.unit = float64(d), true
			} else if _, e := fmt.Sscanf(c.value+" ", "%g ", &c.num); e != nil {
				err = fmt.Errorf("condition %q: %q is no number and no duration", text, c.value)
			}
		}
		return c, err
	}
	return condition{value: text}, nil
}

// holds reports whether a record fulfils the condition. A field that does not
// exist is unequal to every value, and in no other relation to it.
func (c *condition) holds(r *logscan.Record) bool {
	if c.op == "" {
		return bytes.Contains(r.Line, []byte(c.value))
	}
	v := value(r, c.field)
	switch c.op {
	case "=":
		return v != nil && string(v) == c.value
	case "!=":
		return v == nil || string(v) != c.value
	case "~":
		return v != nil && c.re.Match(v)
	case "!~":
		return v == nil || !c.re.Match(v)
	}
	n, ok := r.Float(c.field)
	if c.unit {
		var d time.Duration
		d, ok = r.Duration(c.field, time.Second)
		n = float64(d)
	}
	if !ok {
		return false
	}
	switch c.op {
	case "<":
		return n < c.num
	case "<=":
		return n <= c.num
	case ">":
		return n > c.num
	}
	return n >= c.num
}
