package redact_test

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"

	"github.com/redoubt-go/redoubt/audit/redact"
)

// withoutTime is a handler that prints no time.
func withoutTime(next func([]string, slog.Attr) slog.Attr) slog.Handler {
	return slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		if next != nil {
			return next(groups, a)
		}
		return a
	}})
}

func Example() {
	logger := slog.New(redact.New(redact.Config{Next: withoutTime(nil)}))
	logger.Info("login", "user", "alice", "password", "hunter2")
	logger.Info("calling with Authorization: Bearer c2VjcmV0c2VjcmV0")

	type order struct {
		ID   string `json:"id"`
		Card string `json:"card" audit:"card,sensitive"`
	}
	logger.Info("paid", "order", order{"o-17", "4111111111111111"})
	// Output:
	// level=INFO msg=login user=alice password=***
	// level=INFO msg="calling with Authorization: Bearer ***"
	// level=INFO msg=paid order.id=o-17 order.card=***
}

func ExampleNew() {
	handler := redact.New(redact.Config{
		Next: slog.NewTextHandler(os.Stdout, nil),
	})
	logger := slog.New(handler)
	logger.Debug("not enabled", "password", "hunter2")
	// Output:
}

func ExampleReplaceAttr() {
	options := &slog.HandlerOptions{ReplaceAttr: redact.ReplaceAttr(redact.Config{
		Keys:     append(redact.DefaultKeys(), "iban"),
		Patterns: []*regexp.Regexp{regexp.MustCompile(`\bDE\d{20}\b`)},
	})}
	bank := slog.New(slog.NewTextHandler(os.Stdout, options))
	bank.Debug("not enabled")

	slog.New(withoutTime(options.ReplaceAttr)).Info("to DE02120300000000202051", "iban", "x")
	// Output: level=INFO msg="to ***" iban=***
}

func ExampleConfig() {
	fmt.Println(redact.Config{}.Validate())
	// Output: redact: Next is missing
}

func ExampleHandler() {
	h := redact.New(redact.Config{Next: withoutTime(nil), Mask: "[hidden]"})
	slog.New(h).WithGroup("http").With("cookie", "s=1").Info("get", "path", "/")
	// Output: level=INFO msg=get http.cookie=[hidden] http.path=/
}

func ExampleDefaultKeys() {
	fmt.Println(redact.DefaultKeys()[:3])
	// Output: [password passwd passphrase]
}
