package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"

	"github.com/redoubt-go/redoubt/audit"
)

// These examples are the handbook's recipes, one each.

// An audited attribute is declared once, with its type, its rule and its mask. What
// is not of the type does not compile, what breaks the rule is refused and recorded,
// and old and new values are masked in the log. Deleting is an event like any other.
func Example_auditedAttribute() {
	apiKey := audit.Attribute[string]{Name: "api_key", Sensitive: true, Check: audit.Length(8, 64), Mask: audit.Last(4)}
	log := audit.New(audit.Config{Sink: sink})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})

	key := apiKey.Of(log.Object("service", "billing"))
	fmt.Println(key.Set(ctx, "sk_live_0123456789ab"))
	fmt.Println(key.Set(ctx, "short"))
	fmt.Println(key.Set(ctx, "sk_live_ba9876543210"))
	fmt.Println("shown as", key)
	fmt.Println(key.Delete(ctx))
	_, err := key.Get(ctx)
	fmt.Println(err, errors.Is(err, audit.ErrUnset))
	// Output:
	// alice create success service billing [{api_key  ***89ab true}]
	// <nil>
	// alice modify failure service billing [{api_key   true}]
	// audit: service.api_key: invalid: length not in 8..64
	// alice modify success service billing [{api_key ***89ab ***3210 true}]
	// <nil>
	// shown as ***3210
	// alice delete success service billing [{api_key ***3210  true}]
	// <nil>
	// audit: service.api_key: unset true
}

// Validated and typed attributes: a rule is a function of the attribute's own type,
// the ready-made ones combine, and your own need no more than an error.
func Example_validatedAttributes() {
	errOdd := errors.New("port is odd")
	port := audit.Attribute[int]{Name: "port", Check: audit.All(audit.Between(1024, 65535), func(n int) error {
		if n%2 == 1 {
			return errOdd
		}
		return nil
	})}
	region := audit.Attribute[string]{Name: "region", Check: audit.OneOf("eu-1", "us-1")}
	host := audit.Attribute[string]{Name: "host", Check: audit.All(audit.Length(1, 20), audit.Match(regexp.MustCompile(`^[a-z][a-z0-9-]*$`)))}

	server := audit.New(audit.Config{Sink: audit.JSON(&bytes.Buffer{})}).Object("server", "s-1")
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	fmt.Println(port.Of(server).Set(ctx, 80))
	err := port.Of(server).Set(ctx, 8081)
	fmt.Println(err, errors.Is(err, errOdd))
	fmt.Println(region.Of(server).Set(ctx, "mars"))
	fmt.Println(host.Of(server).Set(ctx, "Web 1"))
	fmt.Println(host.Of(server).Set(ctx, "web-1"))
	// Output:
	// audit: server.port: invalid: not in 1024..65535
	// audit: server.port: invalid: "port is odd" true
	// audit: server.region: invalid: not one of the allowed values
	// audit: server.host: invalid: no match for "^[a-z][a-z0-9-]*$"
	// <nil>
}

// Only those who are known may begin the work: the decorator require_auth.
func Example_requireAuth() {
	log := audit.New(audit.Config{Sink: sink})
	requireAuth := audit.Guard{Log: log, Action: "profile.view", Allow: audit.Authenticated}
	view := audit.Wrap(requireAuth, func(context.Context) (string, error) { return "profile", nil })

	_, err := view(context.Background())
	fmt.Println(errors.Is(err, audit.ErrNoActor))
	page, err := view(audit.WithActor(context.Background(), audit.Actor{ID: "alice"}))
	fmt.Println(page, err)
	// Output:
	//  profile.view denied   []
	// true
	// alice profile.view attempt   []
	// alice profile.view success   []
	// profile <nil>
}

// Only those who have a permission may begin the work: the decorator
// require_permission.
func Example_requirePermission() {
	permissions := map[string]string{"alice": "users.delete"}
	has := func(_ context.Context, a audit.Actor, p string) (bool, error) { return permissions[a.ID] == p, nil }

	log := audit.New(audit.Config{Sink: sink})
	requirePermission := audit.Guard{
		Log: log, Action: "user.delete", Target: audit.Target{Type: "user", ID: "u-9"},
		Allow: audit.Permission("users.delete", has),
	}
	for _, id := range []string{"mallory", "alice"} {
		err := requirePermission.Do(audit.WithActor(context.Background(), audit.Actor{ID: id}), func(context.Context) error {
			fmt.Println("deleted")
			return nil
		})
		fmt.Println(err)
	}
	// Output:
	// mallory user.delete denied user u-9 []
	// audit: user.delete: denied: "permission \"users.delete\": denied"
	// alice user.delete attempt user u-9 []
	// deleted
	// alice user.delete success user u-9 []
	// <nil>
}

// Structured JSON logging without secrets: what is a Secret or a sensitive Field is
// masked by every handler, also deep inside other values, and the errors of this
// package log their data and never a value.
func Example_structuredLogging() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // it differs with every run
		}
		return a
	}}))
	config := struct {
		User     string
		Password audit.Secret[string]
	}{"app", audit.NewSecret("hunter2")}
	logger.Info("connecting", "config", config)

	pin := audit.Attribute[string]{Name: "pin", Sensitive: true, Check: audit.Length(4, 4)}
	_, err := pin.Load(audit.New(audit.Config{Sink: sink}).Object("card", "c-1"), "31415")
	logger.Warn("not loaded", "error", err)
	// Output:
	// {"level":"INFO","msg":"connecting","config":{"User":"app","Password":"***"}}
	// {"level":"WARN","msg":"not loaded","error":{"target_type":"card","target":"c-1","field":"pin","code":"invalid"}}
}

// Error codes: the caller sees a code, the program keeps the cause, and the audit
// log has the code where the work failed.
func Example_errorCodes() {
	errTimeout := errors.New("connection to postgres://app:hunter2@db timed out")
	var code audit.Code
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		code = events[0].Code
		return nil
	})})
	g := audit.Guard{Log: log, Action: "report.build"}
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	err := g.Do(ctx, func(context.Context) error { return audit.Opaque("E1042_db_timeout", errTimeout) })
	fmt.Println(err)
	fmt.Println(code)
	fmt.Println(errors.Is(err, errTimeout))
	// Output:
	// E1042_db_timeout
	// E1042_db_timeout
	// true
}

// All that is wrong with a form in one error: each field is tried, and errors.Join
// keeps the refusals, which stay apart for programs.
func Example_collectedErrors() {
	name := audit.Attribute[string]{Name: "name", Check: audit.Length(1, 64)}
	age := audit.Attribute[int]{Name: "age", Check: audit.Between(0, 150)}
	password := audit.Attribute[string]{Name: "password", Sensitive: true, Check: audit.Length(12, 64)}

	user := audit.New(audit.Config{Sink: audit.JSON(&bytes.Buffer{})}).Object("user", "u-1")
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	err := errors.Join(
		name.Of(user).Set(ctx, "Alice"),
		age.Of(user).Set(ctx, 200),
		password.Of(user).Set(ctx, "hunter2"),
	)
	fmt.Println(err)
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var fe *audit.FieldError
		if errors.As(e, &fe) {
			fmt.Println(fe.Field, fe.Code)
		}
	}
	// Output:
	// audit: user.age: invalid: not in 0..150
	// audit: user.password: invalid: length not in 12..64
	// age invalid
	// password invalid
}

// A lazy property, computed once when it is first read: sync.OnceValues keeps the
// value, and a guard around it records every read, so that nobody reads unseen and
// what is never allowed is never computed.
func Example_lazyProperty() {
	score := sync.OnceValues(func() (int, error) {
		fmt.Println("computing")
		return 42, nil
	})
	read := audit.Wrap(
		audit.Guard{Log: audit.New(audit.Config{Sink: sink}), Action: "score.read", Target: audit.Target{Type: "customer", ID: "c-1"}},
		func(context.Context) (int, error) { return score() },
	)
	_, err := read(context.Background())
	fmt.Println(errors.Is(err, audit.ErrDenied))
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	for range 2 {
		n, err := read(ctx)
		fmt.Println(n, err)
	}
	// Output:
	//  score.read denied customer c-1 []
	// true
	// alice score.read attempt customer c-1 []
	// computing
	// alice score.read success customer c-1 []
	// 42 <nil>
	// alice score.read attempt customer c-1 []
	// alice score.read success customer c-1 []
	// 42 <nil>
}
