// Storm drives three clients through the bad days of a gRPC server: slow, dead,
// draining and overloaded. The clients are a client without guards, a client
// with gRPC's own retryPolicy, and a client with the guards of redoubtgrpc.
// Each has its own server of the same capacity. Storm prints how many calls
// were answered in time, and how many requests the server worked on in vain.
//
//	cd internal/bench; go run ./grpc/storm
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

const (
	workers  = 8                      // requests that the server works on at once
	work     = 10 * time.Millisecond  // time of a healthy request: 800 a second
	load     = 200                    // calls a second
	patience = 250 * time.Millisecond // deadline of a call
)

// A phase is a stretch of the storm.
type phase struct {
	name   string
	length time.Duration // in units of the flag -unit
	load   int           // calls a second
	work   time.Duration // time of a request
	down   bool          // the server is stopped
	drain  bool          // the server is restarted gracefully, again and again
}

var phases = []phase{
	{"calm", 2, load, work, false, false},
	{"slow", 4, load, 10 * work, false, false},
	{"calm again", 4, load, work, false, false},
	{"dead", 6, load, work, true, false},
	{"back", 4, load, work, false, false},
	{"draining", 4, load, work, false, true},
	{"overloaded", 4, 8 * load, work, false, false},
	{"calm at last", 4, load, work, false, false},
}

func main() {
	unit := flag.Duration("unit", time.Second, "the time unit of the phases")
	flag.Parse()
	if err := run(os.Stdout, *unit); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

// run drives the clients in turn and prints their figures. At the same time
// they would compete for the processor.
func run(w io.Writer, unit time.Duration) error {
	clients := []*client{bare(), native(), guarded()}
	for _, c := range clients {
		if err := c.drive(unit); err != nil {
			return err
		}
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tab, "calls\t")
	for _, c := range clients {
		fmt.Fprintf(tab, "%s: answered\trequests\twasted\t", c.name)
	}
	fmt.Fprintln(tab, "")
	for i, p := range phases {
		fmt.Fprintf(tab, "%s, %d\t", p.name, clients[0].figures[i].calls.Load())
		for _, c := range clients {
			f := &c.figures[i]
			fmt.Fprintf(tab, "%d\t%d\t%d\t", f.answered.Load(), f.requests.Load(), f.wasted.Load())
		}
		fmt.Fprintln(tab, "")
	}
	return tab.Flush()
}

// figures are the figures of a client in a phase. A request is wasted if the
// server finished it after its call was over.
type figures struct{ calls, answered, requests, wasted atomic.Int64 }

// A client is a client with its server.
type client struct {
	name    string
	dial    []grpc.DialOption
	serve   []grpc.ServerOption
	figures []figures
	server  server
}

func newClient(name string, dial []grpc.DialOption, serve []grpc.ServerOption) *client {
	c := &client{name: name, dial: dial, serve: serve, figures: make([]figures, len(phases))}
	c.server.client, c.server.workers = c, make(chan struct{}, workers)
	return c
}

func bare() *client { return newClient("bare", nil, nil) }

func native() *client {
	const config = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.02s",
		"maxBackoff": "0.1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`
	return newClient("retryPolicy", []grpc.DialOption{grpc.WithDefaultServiceConfig(config)}, nil)
}

func guarded() *client {
	b := breaker.New(breaker.Config{Name: "stock", OpenFor: time.Second, MaxOpenFor: time.Second}) // the storm is short
	policy := retry.Policy{
		Backoff: retry.Exponential{Base: 20 * time.Millisecond, Max: 100 * time.Millisecond},
		Budget:  new(retry.TokenBudget),
	}
	c := redoubtgrpc.Client{
		Idempotent: func(string) bool { return true },
		Policy:     func(string) retry.Policy { return policy },
		Gate:       func(string, string) breaker.Gate { return b },
	}
	s := &redoubtgrpc.Server{
		Bulkhead: bulkhead.New(bulkhead.Config{Limit: workers, MaxQueue: 4 * workers, MaxWait: patience / 2}),
		MinLeft:  2 * work,
	}
	return newClient("redoubt", []grpc.DialOption{grpc.WithUnaryInterceptor(c.Unary())}, []grpc.ServerOption{grpc.UnaryInterceptor(s.Unary())})
}

// drive makes the calls of all phases.
func (c *client) drive(unit time.Duration) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := lis.Addr().String()
	stop := c.start(lis)
	connect := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: time.Second}
	connect.Backoff.MaxDelay = time.Second // so that no client depends on luck
	opts := append(c.dial, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(connect))
	conn, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		return err
	}
	defer conn.Close()
	stub := grpc_testing.NewTestServiceClient(conn)
	var calls sync.WaitGroup
	for i, p := range phases {
		c.server.phase.Store(int64(i))
		end := time.Now().Add(p.length * unit)
		restart := time.Now()
		if p.down {
			stop(false)
		}
		for tick := time.Now(); tick.Before(end); tick = tick.Add(time.Second / time.Duration(p.load)) {
			time.Sleep(time.Until(tick))
			if p.drain && time.Now().After(restart) {
				restart = time.Now().Add(max(unit/2, 50*time.Millisecond))
				stop(true)
				if lis, err = net.Listen("tcp", addr); err != nil {
					return err
				}
				stop = c.start(lis)
			}
			calls.Go(func() { c.call(stub, i) })
		}
		if p.down {
			if lis, err = net.Listen("tcp", addr); err != nil {
				return err
			}
			stop = c.start(lis)
		}
	}
	calls.Wait()
	stop(false)
	return nil
}

// call makes a call in phase i.
func (c *client) call(stub grpc_testing.TestServiceClient, i int) {
	c.figures[i].calls.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := stub.UnaryCall(ctx, new(grpc_testing.SimpleRequest)); err == nil {
		c.figures[i].answered.Add(1)
	}
}

// start starts the server on lis, and returns the function that stops it.
func (c *client) start(lis net.Listener) (stop func(gracefully bool)) {
	srv := grpc.NewServer(c.serve...)
	grpc_testing.RegisterTestServiceServer(srv, &c.server)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(lis) }()
	return func(gracefully bool) {
		if gracefully {
			go srv.GracefulStop() // it closes the listener immediately
			lis.Close()
		} else {
			srv.Stop()
		}
		<-done
	}
}

// A server works on a few requests at once. The others wait.
type server struct {
	grpc_testing.UnimplementedTestServiceServer
	client  *client
	workers chan struct{}
	phase   atomic.Int64
}

// UnaryCall works, and looks at the context only at the end: like most servers.
func (s *server) UnaryCall(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	i := s.phase.Load()
	f := &s.client.figures[i]
	f.requests.Add(1)
	s.workers <- struct{}{}
	time.Sleep(phases[i].work)
	<-s.workers
	if ctx.Err() != nil {
		f.wasted.Add(1)
	}
	return new(grpc_testing.SimpleResponse), nil
}
