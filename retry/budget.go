package retry

// A Budget bounds the retries of all calls that share it, so that an outage
// does not multiply the load of the service that suffers from it. Use the same
// Budget for all calls to a service, and set it in a single layer: the first
// attempts of two layers are both settled. Implementations must be safe for
// concurrent use.
//
// For every attempt Do makes these method calls, in this order: Withdraw, if
// the attempt is a retry, and Settle once the attempt has ended. An attempt
// that a guard refused put no load on the service, so it is not settled. Its
// cost pays for the next attempt, or is returned if there is none. An attempt
// that ended with the context of its call, or in a panic, is not settled.
type Budget interface {
	// Withdraw reports whether there may be a retry after an attempt that
	// failed with err, and returns its cost. It takes the cost in the same
	// step.
	Withdraw(err error) (cost int, ok bool)

	// Settle reports the outcome of an attempt, with its error and the cost
	// that Withdraw returned for it. The cost of a first attempt is 0.
	Settle(outcome Outcome, cost int, err error)
}

// An Outcome is the end of an attempt as a Budget sees it.
type Outcome uint8

// The outcomes of an attempt.
const (
	OutcomeSuccess Outcome = iota // the attempt succeeded
	OutcomeVerdict                // it failed with an error that is not retried: the service works
	OutcomeFailure                // it failed with an error that may be retried
	OutcomeUnmade                 // the retry was granted but is not made: its cost is returned
)

// String returns "success", "verdict", "failure" or "unmade".
func (o Outcome) String() string {
	return enum("Outcome", o, "success", "verdict", "failure", "unmade")
}
