package breaker

import "fmt"

// A State is the condition of a guard.
type State uint8

const (
	// Closed admits every call.
	Closed State = iota
	// HalfOpen admits Config.Probes calls at a time, whose outcomes decide.
	HalfOpen
	// Recovering admits a growing share of calls, see Config.RampUp.
	Recovering
	// Open refuses every call until a deadline.
	Open
	// ForcedOpen refuses every call until Reset.
	ForcedOpen
	// ForcedClosed admits every call until Reset and reports what it would have done.
	ForcedClosed
	// Throttling is the state named by the refusals of a [Throttle].
	Throttling
)

var stateNames = [...]string{"closed", "half-open", "recovering", "open", "forced open", "forced closed", "throttling"}

// String returns the name in lower case, such as "half-open".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText returns the text of String; it never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
