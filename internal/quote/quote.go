// Package quote bounds foreign text that goes into errors and logs.
package quote

import (
	"fmt"
	"strconv"
	"strings"
)

// Max is the number of bytes of foreign text that an error or a log line
// contains at most.
const Max = 64

// mark follows text that was cut.
const mark = "…"

// Cut returns s, or its first Max bytes and "…". It splits no character and
// copies the part that it keeps, so that an error does not keep a large text
// alive. The result is not escaped.
func Cut(s string) string {
	if head, cut := head(s); cut {
		return head + mark
	}
	return s
}

// Text returns s between double quotes, escaped as by strconv.Quote. If s has
// more than Max bytes, it returns the first of them and "…" after the quotes.
func Text(s string) string {
	head, cut := head(s)
	quoted := strconv.Quote(head)
	if cut {
		quoted += mark
	}
	return quoted
}

// Name returns s without quotes if s is short and plain, otherwise Text(s). It
// is for names that a program gives to its own objects.
func Name(s string) string {
	if q := Text(s); q != `"`+s+`"` {
		return q
	}
	return s
}

// Error returns the text of err, cut and quoted as by Text. If the Error method
// panics, as methods of nil pointers do, the text describes the panic.
func Error(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = Text("PANIC=Error method") // fmt panicked while it printed the panic
		}
	}()
	return Text(fmt.Sprint(err))
}

// head returns the longest start of s that has at most Max bytes and ends
// between two characters, and whether it is shorter than s.
func head(s string) (string, bool) {
	if len(s) <= Max {
		return s, false
	}
	end := 0
	for i := range s {
		if i > Max {
			break
		}
		end = i
	}
	return strings.Clone(s[:end]), true
}
