// Package redoubtgrpc provides gRPC interceptors for clients and servers:
// retries, hedging, circuit breakers, rate limits, bulkheads and an audit
// trail.
//
// gRPC's own retryPolicy knows neither which methods may be repeated, nor how
// the rest of the program fares. These interceptors put the guards of this
// library around each call. They also carry their knowledge over the wire: a
// refusal contains the time of the next attempt, and a repeated call its
// number.
//
// # Guard a client
//
// Methods that are not idempotent are repeated only if the request was not
// sent, or if the server refused it before its handler.
//
//	client := redoubtgrpc.Client{
//		Idempotent: redoubtgrpc.ReadOnly("/shop.Stock/Get"),
//		Policy:     func(string) retry.Policy { return policy },
//		Gate:       gate,
//	}
//
// Client.Unary and Client.Stream return its interceptors:
//
//	conn, err := grpc.NewClient(target,
//		grpc.WithChainUnaryInterceptor(client.Unary()),
//		grpc.WithChainStreamInterceptor(client.Stream()),
//		grpc.WithTransportCredentials(creds))
//
// # Guard a server
//
// Tap refuses calls before their messages are read and decoded.
//
//	server := &redoubtgrpc.Server{
//		Limit:    perClient,
//		Bulkhead: places,
//		MinLeft:  20 * time.Millisecond,
//	}
//
// Its interceptors and its tap:
//
//	srv := grpc.NewServer(
//		grpc.InTapHandle(server.Tap()),
//		grpc.ChainUnaryInterceptor(server.Unary()),
//		grpc.ChainStreamInterceptor(server.Stream()))
//
// # Hedge reads
//
//	client.Hedge = func(string) *retry.Hedge[any] {
//		return &retry.Hedge[any]{Latency: latency, Budget: budget}
//	}
//
// # Audit the calls
//
//	server.Audit = &redoubtgrpc.Audit{Log: log, Actor: actor}
//
// # Choosing values
//
//   - Client.Idempotent: leave it nil if the .proto files declare the
//     idempotency_level of their methods.
//   - Client.Policy: share a Budget between all methods of a target, and set
//     AttemptTimeout well below the deadline of the callers.
//   - Client.Gate: a breaker for each target; for each method if a server has
//     methods that fail independently. The interceptor does not see which
//     address of the target serves a call.
//   - Server.Limit and Server.Bulkhead: with Tap, refusals cost the server
//     least. Without Tap, calls may wait for a place.
//   - A service config with a retryPolicy: remove it, or leave the retries of
//     those methods to gRPC; see Client.RetryDisabled.
//
// # Errors
//
// Every error has a status of gRPC, and the errors of guards remain visible to
// errors.Is and errors.As. [Judge] is the table of codes for circuit breakers
// and retries, and [Status] the table of errors for servers.
//
// # Concurrency and cost
//
// Interceptors may be used concurrently. They start goroutines for hedges, and
// a short goroutine to return the guards of a call whose context ends. A
// guarded unary call costs four more allocations.
//
// Costs, formats and sources: README.md.
package redoubtgrpc
