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

// An audited attribute is declared once, with its type, rule and mask. A value
// of another type does not compile. A value that breaks the rule is refused and
// recorded. The log contains masks of the old and new values.
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
	// actor=alice action=create outcome=success target=service/billing field=api_key new=***89ab
	// <nil>
	// actor=alice action=modify outcome=failure target=service/billing code=invalid field=api_key
	// audit: service.api_key: invalid: length not in 8..64
	// actor=alice action=modify outcome=success target=service/billing field=api_key old=***89ab new=***3210
	// <nil>
	// shown as ***3210
	// actor=alice action=delete outcome=success target=service/billing field=api_key old=***3210
	// <nil>
	// audit: service.api_key: unset true
}

// A rule is a function of the type of the attribute. Rules can be combined, and
// a rule of your own only returns an error.
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

// A Guard without Allow requires an actor.
func Example_requireAuth() {
	log := audit.New(audit.Config{Sink: sink})
	requireAuth := audit.Guard{Log: log, Action: "profile.view"}
	view := audit.Wrap(requireAuth, func(context.Context) (string, error) { return "profile", nil })

	_, err := view(context.Background())
	fmt.Println(errors.Is(err, audit.ErrNoActor))
	page, err := view(audit.WithActor(context.Background(), audit.Actor{ID: "alice"}))
	fmt.Println(page, err)
	// Output:
	// action=profile.view outcome=denied code=no_actor
	// true
	// actor=alice action=profile.view outcome=attempt
	// actor=alice action=profile.view outcome=success
	// profile <nil>
}

// A Guard with Permission requires an actor with that permission.
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
	// actor=mallory action=user.delete outcome=denied target=user/u-9 code=denied
	// audit: user.delete: denied: "permission \"users.delete\": denied"
	// actor=alice action=user.delete outcome=attempt target=user/u-9
	// deleted
	// actor=alice action=user.delete outcome=success target=user/u-9
	// <nil>
}

// Every slog handler masks a Secret and a sensitive Field, also inside other
// values. Errors of this package log their data without the value.
func Example_structuredLogging() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // different in every run
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

// Opaque shows a code to the caller and records the same code in the log. The
// program can still find the cause.
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

// To report every invalid field of a form, set all fields and join the errors.
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

// A value that is computed once, when it is first read. The Guard records every
// read, and a denied read does not compute the value.
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
	// action=score.read outcome=denied target=customer/c-1 code=no_actor
	// true
	// actor=alice action=score.read outcome=attempt target=customer/c-1
	// computing
	// actor=alice action=score.read outcome=success target=customer/c-1
	// 42 <nil>
	// actor=alice action=score.read outcome=attempt target=customer/c-1
	// actor=alice action=score.read outcome=success target=customer/c-1
	// 42 <nil>
}
