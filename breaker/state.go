package breaker

import "fmt"

// A State is the condition of a [Breaker].
type State uint8

const (
	// StateClosed admits every call.
	StateClosed State = iota
	// StateHalfOpen admits Config.Probes calls at a time, which decide.
	StateHalfOpen
	// StateRecovering admits as many calls at once as have succeeded lately,
	// and more while calls succeed.
	StateRecovering
	// StateOpen refuses every call until a deadline.
	StateOpen
	// StateForcedOpen refuses every call until Reset.
	StateForcedOpen
	// StateForcedClosed admits every call until Reset and reports the changes
	// that it would have made.
	StateForcedClosed
)

var stateNames = [...]string{"closed", "half-open", "recovering", "open", "forced open", "forced closed"}

// String returns the name in lower case, such as "half-open".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText returns the text of String. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
