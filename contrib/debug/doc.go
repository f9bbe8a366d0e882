// Package debug serves a page with the present state of circuit breakers, rate
// limiters, bulkheads, caches and all other objects of redoubt in a process.
//
// In an incident, metrics are a minute old and sums over a fleet. The page
// shows a single process now, without another system. It can also change a
// guard: open a breaker, lower a limit, clear a cache.
//
// # Show the objects of a service
//
// An object is a value with a method Stats. Serve the page on an address that
// only operators reach:
//
//	page := debug.New(debug.Config{
//		Name: "shop", Objects: map[string]any{
//			"billing": b, "clients": l, "prices": prices,
//		},
//	})
//	mux := http.NewServeMux()
//	mux.Handle("/debug/guards", page)
//
// A browser gets a page that changes as the objects do. Other clients get text,
// or JSON if they accept it:
//
//	curl -s localhost:6060/debug/guards
//	curl -s localhost:6060/debug/guards?format=json
//
// # Allow changes
//
// Without [Config.Authorize] the page has no buttons. With it, every change is
// authorized, and recorded in the audit log before it is made:
//
//	operator := func(r *http.Request, _ debug.Action) (audit.Actor, error) {
//		user, err := login(r)
//		if err == nil && !user.operator {
//			err = errors.New("not an operator")
//		}
//		return audit.Actor{ID: user.name}, err
//	}
//	page := debug.New(debug.Config{
//		Name: "shop", Objects: objects, Authorize: operator, Audit: log,
//	})
//
// A new limit keeps all other settings of its guard. A change is a POST
// request, such as object=billing&action=force-open, from a page of the same
// origin or from a client that is not a browser.
//
// # Shut a server down
//
// Each open page holds a connection. End them when the server begins to shut
// down:
//
//	server.RegisterOnShutdown(page.Close)
//
// # Choosing values
//
//   - [Config.Objects]: a breaker.Group with keys of type string is shown with
//     its breakers. Other groups are shown as sums.
//   - [Config.Interval]: the time between two looks at the objects, for each
//     open page. A look calls Stats of all objects.
//   - Figures are no secrets, but keys can be: the keys of a group are shown.
//
// # Errors
//
// New panics with the error of [Config.Validate]. A request for a change is
// answered with:
//
//   - 403 if Authorize returns an error;
//   - 404 for an unknown object or action;
//   - 400 for a value that the guard refuses;
//   - 503 if the attempt cannot be recorded; the change is not made then;
//   - 500 if the change was made and its outcome cannot be recorded.
//
// At most [Config.MaxStreams] open pages change. Further pages get 503.
//
// # Concurrency and cost
//
// All methods may be called concurrently. A Handler has no goroutine of its
// own. A look at a breaker costs about a microsecond.
package debug
