package redact_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"

	"github.com/redoubt-go/redoubt/audit/redact"
)

// options leave out the time.
var options = &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}}

func Example() {
	handler := redact.New(redact.Config{
		Next: slog.NewTextHandler(os.Stdout, options),
	})
	logger := slog.New(handler)
	logger.Info("login", "user", "alice", "password", "hunter2")

	type order struct {
		ID   string `json:"id"`
		Card string `json:"card" audit:"card,sensitive"`
	}
	logger.Info("paid", "order", order{"o-17", "4111111111111111"})
	// Output:
	// level=INFO msg=login user=alice password=***
	// level=INFO msg=paid order.id=o-17 order.card=***
}

func ExampleNew() {
	logger := slog.New(redact.New(redact.Config{Next: slog.NewTextHandler(os.Stdout, options)}))
	logger.Info("calling with Authorization: Bearer c2VjcmV0c2VjcmV0")
	// Output: level=INFO msg="calling with Authorization: Bearer ***"
}

func ExampleReplaceAttr() {
	replace := redact.ReplaceAttr(redact.Config{
		Keys:     append(redact.DefaultKeys(), "iban"),
		Patterns: []*regexp.Regexp{regexp.MustCompile(`\bDE\d{20}\b`)},
	})
	bank := slog.New(slog.NewTextHandler(os.Stdout,
		&slog.HandlerOptions{ReplaceAttr: replace}))
	bank = slog.New(redactedTime{bank.Handler()})
	bank.Info("to DE02120300000000202051", "iban", "x")
	// Output: level=INFO msg="to ***" iban=***
}

// redactedTime drops the time of records.
type redactedTime struct{ slog.Handler }

func (h redactedTime) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{}
	return h.Handler.Handle(ctx, r)
}

func ExampleConfig() {
	fmt.Println(redact.Config{}.Validate())
	// Output: redact: Next is missing
}

func ExampleHandler() {
	h := redact.New(redact.Config{Next: slog.NewTextHandler(os.Stdout, options), Mask: "[hidden]"})
	slog.New(h).WithGroup("http").With("cookie", "s=1").Info("get", "path", "/")
	// Output: level=INFO msg=get http.cookie=[hidden] http.path=/
}

func ExampleDefaultKeys() {
	fmt.Println(redact.DefaultKeys()[:3])
	// Output: [password passwd passphrase]
}
