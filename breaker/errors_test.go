package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

func TestCauseIsNotWrapped(t *testing.T) {
	b := breaker.New(steady())
	b.Trip(time.Hour, fmt.Errorf("query: %w", context.DeadlineExceeded))
	refusal := checkRefused(t, b)
	if errors.Is(refusal, context.DeadlineExceeded) {
		t.Error("a refusal matches the error that opened the breaker")
	}
	if !errors.Is(refusal.Cause, context.DeadlineExceeded) {
		t.Errorf("cause %v, want the error given to Trip", refusal.Cause)
	}
}

func TestErrorTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		b.Trip(2*time.Second+1, errDown)
		texts := []string{checkRefused(t, b).Error()}
		time.Sleep(3 * time.Second)
		c1, c2 := mustAllow(t, b), mustAllow(t, b)
		repeat(4, succeed, b) // refused
		texts = append(texts, checkRefused(t, b).Error())
		c1.Done(nil)
		c2.Done(nil)
		mustAllow(t, b)
		mustAllow(t, b)
		texts = append(texts, checkRefused(t, b).Error())
		b.ForceOpen()
		texts = append(texts, checkRefused(t, b).Error())
		texts = append(texts, (&breaker.OpenError{State: breaker.StateOpen}).Error())
		texts = append(texts, (&breaker.OpenError{State: breaker.StateOpen, Reason: "failure ratio"}).Error())
		texts = append(texts, (&breaker.OpenError{Name: "a\nb", State: breaker.StateForcedOpen}).Error())
		texts = append(texts, (&breaker.OpenError{Name: strings.Repeat("x", 99), State: breaker.StateForcedOpen}).Error())
		want := []string{
			`breaker: dep: open (tripped: "down"), retry after 2.001s`,
			`breaker: dep: half-open (tripped: "down"), all probes taken`,
			`breaker: dep: recovering (tripped: "down"), all calls taken`,
			"breaker: dep: forced open",
			"breaker: open, retry after 0s",
			"breaker: open (failure ratio), retry after 0s",
			`breaker: "a\nb": forced open`,
			`breaker: "` + strings.Repeat("x", 64) + `"…: forced open`,
		}
		checkEqual(t, texts, want)
	})
}

func TestNames(t *testing.T) {
	got := fmt.Sprint(breaker.StateClosed, breaker.State(99), breaker.OutcomeSuccess, breaker.OutcomeIgnored, breaker.Outcome(9), breaker.KindShadow, breaker.Kind(7))
	if want := "closed State(99) success ignored Outcome(9) shadow Kind(7)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
