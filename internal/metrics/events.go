package metrics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// An Event is an event of a guard that its statistics do not contain. Events of
// a cache are not among them: its statistics count every departure.
type Event interface {
	retry.Event | breaker.Event | ratelimit.Event | bulkhead.Event
}

// An Action is a metric that events change.
type Action[E Event] struct {
	Metric
	// Of returns the number that an event adds to the metric, under a label if
	// the metric has a Label. It reports false if the event adds nothing.
	Of func(E) (label string, v float64, ok bool)
}

// Actions are the metrics that events of type E change.
type Actions[E Event] struct {
	Keys  []string // labels of all metrics whose values the program lists
	KeyOf func(E) [MaxKeys]string
	All   []Action[E]
}

// MaxKeys is the largest number of labels whose values the program lists.
const MaxKeys = 2

// ActionsOf returns the metrics that events of type E change.
func ActionsOf[E Event]() Actions[E] {
	var table any
	switch any(*new(E)).(type) {
	case retry.Event:
		table = Actions[retry.Event]{[]string{"policy", "host"}, retryKeys, retryActions()}
	case breaker.Event:
		table = Actions[breaker.Event]{[]string{"key"}, breakerKeys, breakerActions()}
	case ratelimit.Event:
		table = Actions[ratelimit.Event]{[]string{"key"}, ratelimitKeys, ratelimitActions()}
	case bulkhead.Event:
		table = Actions[bulkhead.Event]{All: bulkheadActions()}
	}
	actions := table.(Actions[E])
	for i := range actions.All {
		actions.All[i].Keys = actions.Keys
	}
	return actions
}

func changedBy[E Event]() (all []Metric) {
	for _, a := range ActionsOf[E]().All {
		all = append(all, a.Metric)
	}
	return all
}

// A Listed contains the values of keys that the program lists.
type Listed map[string]bool

// OtherKey is the value of a key that the program has not listed.
const OtherKey = "other"

// Of returns the values of the label for given keys: "" without a key or
// without a list, and [OtherKey] for a key that is not in the list.
func (l Listed) Of(keys [MaxKeys]string) [MaxKeys]string {
	for i, key := range keys {
		switch {
		case len(l) == 0:
			keys[i] = ""
		case key != "" && !l[key]:
			keys[i] = OtherKey
		}
	}
	return keys
}

// retryKeys returns the name of the policy, and the host of an operation such
// as "GET example.com/users". Every other operation is its own host.
func retryKeys(e retry.Event) [MaxKeys]string {
	host := e.Op
	if _, url, ok := strings.Cut(e.Op, " "); ok {
		host, _, _ = strings.Cut(url, "/")
	}
	return [MaxKeys]string{e.Name, host}
}

// breakerKeys returns the name of the breaker. A group names its breakers
// "group: key", which gives the key.
func breakerKeys(e breaker.Event) [MaxKeys]string {
	if _, key, ok := strings.Cut(e.Name, ": "); ok {
		return [MaxKeys]string{key}
	}
	return [MaxKeys]string{e.Name}
}

func ratelimitKeys(e ratelimit.Event) [MaxKeys]string {
	switch key := e.Key.(type) {
	case nil:
		return [MaxKeys]string{}
	case string:
		return [MaxKeys]string{key}
	default:
		return [MaxKeys]string{fmt.Sprint(key)}
	}
}

// reasons returns the labels for the ends of a call of retry, each with its
// error. The first matching error decides. Without a match the label is
// "other", for example if the last attempt of a hedged call failed.
func reasons() []struct {
	label string
	err   error
} {
	return []struct {
		label string
		err   error
	}{
		{"exhausted", retry.ErrExhausted},
		{"permanent", retry.ErrPermanent},
		{"budget", retry.ErrBudget},
		{"elapsed", retry.ErrElapsed},
		{"retry_after", retry.ErrRetryAfter},
		{"nested", retry.ErrNested},
		{"deadline", context.DeadlineExceeded}, // retry.ErrDeadline too
		{"cancelled", context.Canceled},
	}
}

// Outcome returns the label for the reason why a call of retry ended.
func Outcome(reason error) string {
	if reason == nil {
		return "success"
	}
	for _, r := range reasons() {
		if errors.Is(reason, r.err) {
			return r.label
		}
	}
	return "other"
}

func retryActions() []Action[retry.Event] {
	type E = retry.Event
	outcomes := []string{"success"}
	for _, r := range reasons() {
		outcomes = append(outcomes, r.label)
	}
	outcomes = append(outcomes, "other")
	return []Action[E]{
		{row("redoubt.retry.calls", counter, "{call}", "Calls that ended after more than one attempt or without success.", "outcome", outcomes), func(e E) (string, float64, bool) { return Outcome(e.Reason), 1, e.Kind == retry.KindDone }},
		{row("redoubt.retry.retries", counter, "{attempt}", "Attempts after a failed attempt.", "", nil), func(e E) (string, float64, bool) { return "", 1, e.Kind == retry.KindRetry }},
		{row("redoubt.retry.hedges", counter, "{attempt}", "Hedged attempts, beside a slow attempt.", "", nil), func(e E) (string, float64, bool) { return "", 1, e.Kind == retry.KindHedged }},
		{row("redoubt.retry.delay", histogram, "s", "Pauses before retries.", "", nil), func(e E) (string, float64, bool) { return "", e.Delay.Seconds(), e.Kind == retry.KindRetry }},
		{row("redoubt.retry.duration", histogram, "s", "Duration of the counted calls, including pauses.", "", nil), func(e E) (string, float64, bool) { return "", e.Elapsed.Seconds(), e.Kind == retry.KindDone }},
	}
}

func breakerActions() []Action[breaker.Event] {
	type E = breaker.Event
	shadows := names(breaker.StateClosed, breaker.StateOpen)
	return []Action[E]{
		{row("redoubt.breaker.transitions", counter, "{transition}", "Changes of state, by the new state.", "to", names(states()...)), func(e E) (string, float64, bool) { return e.To.String(), 1, e.Kind == breaker.KindTransition }},
		{row("redoubt.breaker.shadow_transitions", counter, "{transition}", "Changes of state that a breaker would have made if it were not forced closed.", "to", shadows), func(e E) (string, float64, bool) { return e.To.String(), 1, e.Kind == breaker.KindShadow }},
		{row("redoubt.breaker.open_period", histogram, "s", "Planned duration of open periods.", "", nil), func(e E) (string, float64, bool) {
			return "", e.OpenFor.Seconds(), e.Kind == breaker.KindTransition && e.To == breaker.StateOpen
		}},
	}
}

func ratelimitActions() []Action[ratelimit.Event] {
	type E = ratelimit.Event
	return []Action[E]{
		{row("redoubt.ratelimit.retry_after", histogram, "s", "Waiting times that refused requests received, except requests that can never be allowed.", "", nil), func(e E) (string, float64, bool) {
			after := e.Decision.RetryAfter
			return "", after.Seconds(), e.Kind == ratelimit.KindRefused && e.Decision.Retryable
		}},
	}
}

func bulkheadActions() []Action[bulkhead.Event] {
	type E = bulkhead.Event
	return []Action[E]{
		{row("redoubt.bulkhead.limit_changes", counter, "{change}", "Changes of an adaptive limit.", "direction", []string{"up", "down"}), func(e E) (string, float64, bool) {
			if e.Limit > e.Old {
				return "up", 1, e.Kind == bulkhead.KindLimit
			}
			return "down", 1, e.Kind == bulkhead.KindLimit
		}},
	}
}

// maxKeysOfHooks bounds the keys that a program lists for its hooks.
const maxKeysOfHooks = 1000

// ListOf returns the set of keys. The prefix begins the problems in the error.
func ListOf(prefix, name string, keys []string) (Listed, error) {
	listed, errs := Listed{}, []error{CheckName(prefix, name)}
	if len(keys) > maxKeysOfHooks {
		errs = append(errs, fmt.Errorf("%s: Keys has %d elements, want at most %d", prefix, len(keys), maxKeysOfHooks))
	}
	for i, key := range keys {
		if key == "" || !utf8.ValidString(key) {
			errs = append(errs, fmt.Errorf("%s: Keys[%d] is %s, want a text in UTF-8", prefix, i, quote.Text(key)))
		}
		listed[key] = true
	}
	return listed, errors.Join(errs...)
}

// CheckName returns an error if name cannot name an object.
func CheckName(prefix, name string) error {
	if name == "" || !utf8.ValidString(name) {
		return fmt.Errorf("%s: Name is %s, want a text in UTF-8", prefix, quote.Text(name))
	}
	return nil
}
