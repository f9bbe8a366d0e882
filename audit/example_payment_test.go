package audit_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
)

// The audited attributes of an account.
var (
	cardNumber = audit.Attribute[string]{
		Name: "card_number", Sensitive: true, Mask: audit.Last(4),
		Check: audit.Match(regexp.MustCompile(`^\d{16}$`)),
	}
	creditLimit = audit.Attribute[int]{Name: "credit_limit", Check: audit.Between(0, 10_000), QuietRead: true}
)

// An Account records every change of its fields.
type Account struct {
	ID    string
	Card  audit.Field[string]
	Limit audit.Field[int]
}

func openAccount(log *audit.Log, id string) Account {
	o := log.Object("account", id)
	return Account{ID: id, Card: cardNumber.Of(o), Limit: creditLimit.Of(o)}
}

// A payment service: the handler puts the actor into the context, fields record
// their changes, and a Guard protects an operation that needs a permission.
func Example_payment() {
	var lines []string
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		for _, e := range events {
			lines = append(lines, brief(e))
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
	// actor=alice action=create outcome=success target=account/a-17 field=card_number new=***1111
	// actor=bank action=create outcome=success target=account/a-17 field=credit_limit new=500
	// actor=alice action=modify outcome=failure target=account/a-17 code=invalid field=credit_limit
	// actor=mallory action=account.close outcome=denied target=account/a-17 code=denied
}
