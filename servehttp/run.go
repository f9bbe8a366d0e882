package servehttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Config configures [Run].
type Config struct {
	// Server is the server that runs. Its BaseContext, if any, must not end
	// with the context of Run, because the requests in progress would end too.
	// Required.
	Server *http.Server

	// Listener accepts the connections. Nil means a TCP listener on
	// Server.Addr.
	Listener net.Listener

	// Linger is the time for which the server accepts requests after the
	// context of Run has ended, so that load balancers notice that the program
	// is not ready any more. Zero or negative means none.
	Linger time.Duration

	// Grace bounds the time in which the requests in progress end. Then their
	// connections are closed. It also bounds the time of the functions in
	// Close. Zero means 15 seconds. Negative means no limit.
	Grace time.Duration

	// Close are functions that Run calls in this order after the last request,
	// such as the Close methods of an audit.Buffer and an audit.Quorum. They
	// are called even if the server failed, and each is called even if another
	// failed.
	Close []func(context.Context) error

	_ [0]func() // not comparable
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.Server == nil {
		errs = append(errs, errors.New("servehttp: Server is nil, want a server"))
	}
	for i, f := range c.Close {
		if f == nil {
			errs = append(errs, fmt.Errorf("servehttp: Close[%d] is nil, want a function", i))
		}
	}
	return errors.Join(errs...)
}

// Run serves until ctx is done, usually by a signal, and then shuts down. It
// accepts no further connections, waits until the requests in progress have
// ended, and calls the functions in Close. If the server has a TLSConfig with a
// certificate, Run serves HTTPS.
//
// The handlers of hijacked connections, such as WebSockets, are not waited for.
// End them by Server.RegisterOnShutdown.
//
// Errors: the error of [Config.Validate], or all of the following, joined. The
// error of the listener or the server; an error that matches
// [context.DeadlineExceeded] if requests were cut off after Grace; the errors
// of the functions in Close.
func Run(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	err := c.serve(ctx)
	end, cancel := c.grace(ctx)
	defer cancel()
	errs := []error{err}
	for _, f := range c.Close {
		errs = append(errs, f(end))
	}
	return errors.Join(errs...)
}

// serve returns when no request is in progress any more.
func (c Config) serve(ctx context.Context) error {
	l := c.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", cmp.Or(c.Server.Addr, ":http")); err != nil {
			return fmt.Errorf("servehttp: %w", err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		if t := c.Server.TLSConfig; t != nil && (len(t.Certificates) > 0 || t.GetCertificate != nil || t.GetConfigForClient != nil) {
			ended <- c.Server.ServeTLS(l, "", "")
			return
		}
		ended <- c.Server.Serve(l)
	}()
	select {
	case err := <-ended:
		return c.failed(ctx, err)
	case <-ctx.Done():
	}
	if c.Linger > 0 {
		select {
		case err := <-ended:
			return c.failed(ctx, err)
		case <-time.After(c.Linger):
		}
	}
	err := c.drain(ctx)
	<-ended
	return err
}

// failed returns the error of a server that has ended by itself, or by a call
// of its Shutdown or Close outside Run.
func (c Config) failed(ctx context.Context, err error) error {
	drained := c.drain(ctx)
	if errors.Is(err, http.ErrServerClosed) {
		return drained
	}
	return errors.Join(fmt.Errorf("servehttp: %w", err), drained)
}

// drain waits for the requests in progress, at most for Grace.
func (c Config) drain(ctx context.Context) error {
	ctx, cancel := c.grace(ctx)
	defer cancel()
	err := c.Server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	_ = c.Server.Close() // reports the listener, which Shutdown has closed
	if ctx.Err() != nil {
		return fmt.Errorf("servehttp: requests cut off: %w", err)
	}
	return fmt.Errorf("servehttp: %w", err)
}

// grace returns a context that outlives ctx by Grace.
func (c Config) grace(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if c.Grace < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, cmp.Or(c.Grace, 15*time.Second))
}
