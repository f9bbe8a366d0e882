// Gateway is an HTTP server between clients and two upstreams. It has a rate
// limit per client, a bulkhead, a circuit breaker per upstream, and a cache
// that serves stale answers in an outage. Users with a permission can change
// its configuration, and each change is audited.
//
//	go run ./examples/gateway                         plays a scenario, 1 s
//	go run ./examples/gateway -listen 127.0.0.1:8080  serves until Ctrl-C
//
// Read gateway.go first, then scenario.go. Exit status: 0 for success, 1 for a
// failure, 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without the exit. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	addr := flags.String("listen", "", "serve on this `address`, such as 127.0.0.1:8080, until Ctrl-C")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "Gateway guards two built-in upstreams. Without flags it plays a scenario of about a second.\n\nFlags:")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: gateway takes flags only", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "gateway: %v; see -help\n", err)
		return 2
	}
	if *addr == "" {
		err = scenario(ctx, machine(), stdout)
	} else {
		err = serve(ctx, machine(), *addr, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "gateway:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}

// serve runs the gateway on addr until ctx ends. The audit log goes to stdout.
func serve(ctx context.Context, n network, addr string, stdout, stderr io.Writer) error {
	s, err := newStage(n, addr, 10*time.Second, audit.JSON(stdout), slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "gateway: serving until Ctrl-C; what stands on the standard output is the audit log. Try\n"+
		"  curl -i %s/prices/anvil\n  curl -i -X PUT -d %s -H 'Authorization: Bearer %s' %s/admin/upstreams/prices\n",
		s.url, s.backupURL, s.token["alice"], s.url)
	<-ctx.Done()
	fmt.Fprintln(stderr, "gateway: finishing the requests under way")
	return s.close()
}

// A network listens and dials: on the machine, or in tests through pipes.
type network struct {
	listen func(network, address string) (net.Listener, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

func machine() network {
	return network{net.Listen, (&net.Dialer{Timeout: time.Second}).DialContext}
}

// start serves h on addr. The returned function shuts down gracefully: it
// accepts no new connections, gives the requests in progress 5 s, and then
// closes all connections.
func (n network) start(addr string, h http.Handler) (url string, shutdown func() error, err error) {
	l, err := n.listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("cannot serve, try another address: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go srv.Serve(l) // until Shutdown
	return "http://" + l.Addr().String(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return errors.Join(srv.Shutdown(ctx), srv.Close())
	}, nil
}
