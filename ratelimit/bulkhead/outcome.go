package bulkhead

import (
	"context"
	"fmt"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// An Outcome is the meaning of a finished call to an adaptive limit.
type Outcome uint8

const (
	// OutcomeSuccess means that the work was done. Its time counts.
	OutcomeSuccess Outcome = iota
	// OutcomeIgnored means that the time of the work says nothing about the
	// load, such as the time of a quick failure.
	OutcomeIgnored
	// OutcomeDropped means that the work failed because of overload.
	OutcomeDropped
)

// String returns "success", "ignored" or "dropped", and "Outcome(7)" for an
// unknown outcome.
func (o Outcome) String() string {
	switch o {
	case OutcomeSuccess:
		return "success"
	case OutcomeIgnored:
		return "ignored"
	case OutcomeDropped:
		return "dropped"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Classify is the default of Config.Classify. A nil error is
// [OutcomeSuccess], and an error that matches [context.DeadlineExceeded] is
// [OutcomeDropped], unless it is the refusal of a guard. Every other error is
// [OutcomeIgnored].
func Classify(err error) Outcome {
	switch {
	case err == nil:
		return OutcomeSuccess
	case errtree.Is(err, context.DeadlineExceeded) && !errtree.Read(err).Rejected:
		return OutcomeDropped
	}
	return OutcomeIgnored
}
