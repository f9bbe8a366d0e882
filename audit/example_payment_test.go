package audit_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
)

// The attributes of an account that an auditor asks about.
var (
	cardNumber = audit.Attribute[string]{
		Name: "card_number", Sensitive: true, Mask: audit.Last(4),
		Check: audit.Match(regexp.MustCompile(`^\d{16}$`)),
	}
	creditLimit = audit.Attribute[int]{Name: "credit_limit", Check: audit.Between(0, 10_000), QuietRead: true}
)

// Account is a record of which every change must be explained.
type Account struct {
	ID    string
	Card  audit.Field[string]
	Limit audit.Field[int]
}

func openAccount(log *audit.Log, id string) Account {
	o := log.Object("account", id)
	return Account{ID: id, Card: cardNumber.Of(o), Limit: creditLimit.Of(o)}
}

// A payment service: the handler signs for the request, fields record their own
// changes, and a guard stands before what only some may do.
func Example_payment() {
	var lines []string
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		for _, e := range events {
			line := strings.TrimSpace(fmt.Sprint(e.Actor.ID, " ", e.Action, " ", e.Outcome, " ", e.Code))
			for _, c := range e.Changes {
				line += fmt.Sprintf(" %s: %q > %q", c.Field, c.Old, c.New)
			}
			lines = append(lines, line)
		}
		return nil
	})})
	request := func(user string) context.Context {
		return audit.WithRequestID(audit.WithActor(context.Background(), audit.Actor{ID: user, Type: "user"}), "req-1")
	}

	account := openAccount(log, "a-17")
	_ = account.Card.Set(request("alice"), "4111111111111111")
	_ = account.Limit.Set(request("bank"), 500)
	if err := account.Limit.Set(request("alice"), 1_000_000); err != nil {
		fmt.Println(err)
	}

	closing := audit.Guard{
		Log: log, Action: "account.close", Target: audit.Target{Type: "account", ID: account.ID},
		Allow: audit.Permission("close", func(_ context.Context, a audit.Actor, _ string) (bool, error) {
			return a.ID == "bank", nil
		}),
	}
	err := closing.Do(request("mallory"), func(context.Context) error { return nil })
	fmt.Println(err, errors.Is(err, audit.ErrDenied))

	fmt.Printf("%+v\n", account)
	fmt.Println(strings.Join(lines, "\n"))
	// Output:
	// audit: account.credit_limit: invalid: not in 0..10000
	// audit: account.close: denied: "permission \"close\": denied" true
	// {ID:a-17 Card:***1111 Limit:500}
	// alice create success card_number: "" > "***1111"
	// bank create success credit_limit: "" > "500"
	// alice modify failure invalid credit_limit: "" > ""
	// mallory account.close denied denied
}
