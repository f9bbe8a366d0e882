package audithttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audithttp"
)

// log prints events without time and ID.
var log = audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
	for _, e := range events {
		fmt.Println(e.Actor.ID, e.Action, e.Outcome, e.Code, e.Target.ID, e.Source)
	}
	return nil
})})

// session returns the user of a session.
func session(*http.Request) audit.Actor { return audit.Actor{ID: "alice", Type: "user"} }

// clientIP returns an address that a proxy has verified.
func clientIP(*http.Request) netip.Addr { return netip.MustParseAddr("203.0.113.9") }

func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

	record := audithttp.Middleware(audithttp.Config{
		Log:   log,
		Actor: session,
	})
	handler := record(mux)

	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/reports?q=1", nil))
	// Output:
	// alice http.get attempt  /reports 192.0.2.1
	// alice http.get success  /reports 192.0.2.1
}

func ExampleMiddleware() {
	mux := http.NewServeMux()
	next := http.NotFoundHandler()

	orders := audithttp.Middleware(audithttp.Config{
		Log: log,
		Action: func(r *http.Request) audit.Action {
			return audit.Action("order." + strings.ToLower(r.Method))
		},
		Target: func(r *http.Request) audit.Target {
			return audit.Target{Type: "order", ID: r.PathValue("id")}
		},
	})
	mux.Handle("/orders/{id}", orders(next))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/orders/17", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	//  order.delete denied no_actor 17 192.0.2.1
	// 401 {"title":"Not authenticated","status":401}
}

func ExampleConfig() {
	behind := audithttp.Middleware(audithttp.Config{
		Log:    log,
		Client: clientIP,
	})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	behind(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/x", nil))
	// Output:
	// alice http.get attempt  /x 203.0.113.9
	// alice http.get failure http_404 /x 203.0.113.9
}

func ExampleOutcome() {
	fmt.Println(audithttp.Outcome(403))
	// Output: denied http_403
}
