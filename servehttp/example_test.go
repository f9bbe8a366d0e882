package servehttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/servehttp"
)

var errSoldOut = errors.New("sold out")

func sell(n int) error {
	if n == 0 {
		return servehttp.WithStatus(http.StatusConflict, errSoldOut)
	}
	return nil
}

func ExampleError() {
	b := breaker.New(breaker.Config{Name: "payments", Jitter: -1})
	b.Trip(30*time.Second, nil)
	pay := func(ctx context.Context) error { return b.Do(ctx, func(context.Context) error { return nil }) }
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := pay(r.Context()); err != nil {
			servehttp.Error(w, r, err)
			return
		}
		io.WriteString(w, "paid")
	})

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/pay", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"), "Retry-After:", w.Header().Get("Retry-After"))
	fmt.Print(w.Body)
	// Output:
	// 503 application/problem+json Retry-After: 30
	// {"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"Temporary reduced capacity","status":503}
}

func ExampleStatus() {
	fmt.Println(servehttp.Status(audit.ErrDenied))
	fmt.Println(servehttp.Status(context.DeadlineExceeded))
	fmt.Println(servehttp.Status(errors.New("nil map")))
	// Output:
	// 403 0s
	// 504 0s
	// 500 0s
}

func ExampleWithStatus() {
	err := sell(0)
	status, _ := servehttp.Status(err)
	fmt.Println(err, status, errors.Is(err, errSoldOut))
	// Output: sold out 409 true
}

func ExampleRun() {
	// Usually from signal.NotifyContext, with os.Interrupt and SIGTERM.
	ctx, stop := context.WithCancel(context.Background())
	addr := "127.0.0.1:0"
	handler := http.NotFoundHandler()
	events := audit.NewBuffer(audit.BufferConfig{Next: audit.JSON(io.Discard)})

	stop()
	err := servehttp.Run(ctx, servehttp.Config{
		Server: &http.Server{Addr: addr, Handler: handler},
		Grace:  20 * time.Second,
		Close:  []func(context.Context) error{events.Close},
	})
	fmt.Println("drained:", err)
	// Output: drained: <nil>
}
