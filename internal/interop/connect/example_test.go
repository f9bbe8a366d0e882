package connect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

const get = "/shop.Stock/Get"

type text = wrapperspb.StringValue

// stock is a server that is restarting: its first calls fail.
func stock(fails int, calls *int) *httptest.Server {
	return httptest.NewServer(connect.NewUnaryHandler(get, func(_ context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
		if *calls++; *calls <= fails {
			return nil, connect.NewError(connect.CodeUnavailable, errors.New("restarting"))
		}
		return connect.NewResponse(wrapperspb.String("17 of " + req.Msg.GetValue())), nil
	}, connect.WithIdempotency(connect.IdempotencyNoSideEffects)))
}

// client returns a client whose transport retries and has a breaker per host.
func client(gates *breaker.Group[string]) *http.Client {
	return &http.Client{Transport: &retryhttp.Transport{
		Policy: retry.Policy{Backoff: retry.Constant(time.Millisecond)},
		Base:   &breakerhttp.Transport{Gate: breakerhttp.PerHost(gates)},
	}}
}

// With Connect's own protocol, a code is a status of HTTP, and a procedure
// without side effects is a GET. So the transports of HTTP judge and repeat
// calls as those of any other API.
func Example() {
	calls := 0
	server := stock(2, &calls)
	defer server.Close()

	gates := breaker.NewGroup(breaker.GroupConfig[string]{})
	stub := connect.NewClient[text, text](client(gates), server.URL+get,
		connect.WithIdempotency(connect.IdempotencyNoSideEffects), connect.WithHTTPGet())
	reply, err := stub.CallUnary(context.Background(), connect.NewRequest(wrapperspb.String("umbrella")))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Msg.GetValue(), "after", calls, "calls")
	// Output: 17 of umbrella after 3 calls
}

// A POST may have side effects, and is not repeated.
func TestPostIsNotRepeated(t *testing.T) {
	calls := 0
	server := stock(2, &calls)
	defer server.Close()
	stub := connect.NewClient[text, text](client(breaker.NewGroup(breaker.GroupConfig[string]{})), server.URL+get)
	_, err := stub.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("umbrella")))
	if connect.CodeOf(err) != connect.CodeUnavailable || calls != 1 {
		t.Errorf("%d calls: %v", calls, err)
	}
}

// The codes of Connect reach the breaker as status codes.
func TestBreakerSeesTheCodes(t *testing.T) {
	calls := 0
	server := stock(100, &calls)
	defer server.Close()
	gates := breaker.NewGroup(breaker.GroupConfig[string]{})
	stub := connect.NewClient[text, text](client(gates), server.URL+get)
	for range 20 {
		_, _ = stub.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("umbrella")))
	}
	if calls >= 20 {
		t.Errorf("the breaker admitted all %d calls", calls)
	}
	_, err := stub.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("umbrella")))
	if !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("the error is %v, want %v", err, breaker.ErrOpen)
	}
}
