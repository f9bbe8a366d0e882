package redoubtnats

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrWeak means that a stream could lose events that it has acknowledged.
var ErrWeak = errors.New("nats: stream is too weak for audit events")

// problems collects the problems of a configuration.
type problems struct {
	prefix string
	errs   []error
}

// add adds a problem if bad is true.
func (p *problems) add(bad bool, format string, args ...any) {
	if bad {
		p.errs = append(p.errs, fmt.Errorf("nats: "+p.prefix+": "+format, args...))
	}
}

// join returns all problems.
func (p *problems) join() error { return errors.Join(p.errs...) }

// defaultTimeout bounds one call.
const defaultTimeout = 10 * time.Second

// isSubject reports whether s can be published to: words between dots, without
// wildcards.
func isSubject(s string) bool {
	return s != "" && !strings.ContainsAny(s, "*> \t\r\n\x00") &&
		!strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
}

// covers reports whether a subject matches a filter with wildcards.
func covers(filter, subject string) bool {
	words := strings.Split(subject, ".")
	for i, f := range strings.Split(filter, ".") {
		switch {
		case f == ">":
			return len(words) > i
		case len(words) <= i || f != "*" && f != words[i]:
			return false
		}
	}
	return strings.Count(filter, ".") == strings.Count(subject, ".")
}

// op returns the beginning of an error text.
func op(kind, name string) string {
	if name == "" {
		return "nats: " + kind
	}
	return "nats: " + kind + " " + name
}
