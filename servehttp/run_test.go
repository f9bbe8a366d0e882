package servehttp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/servehttp"
)

func listen(t *testing.T) (l net.Listener, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, "http://" + l.Addr().String()
}

// get sends a request and returns the status and the body, or the error.
func get(url string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.Status + " " + string(body), err
}

// start runs c until stop is called. The channel receives the result.
func start(t *testing.T, c servehttp.Config) (stop context.CancelFunc, result chan error) {
	ctx, cancel := context.WithCancel(t.Context())
	result = make(chan error, 1)
	go func() { result <- servehttp.Run(ctx, c) }()
	return cancel, result
}

func TestRunAnswersTheRequestsInProgress(t *testing.T) {
	l, url := listen(t)
	arrived, goOn := make(chan bool), make(chan bool)
	var order []string
	closer := func(name string, err error) func(context.Context) error {
		return func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); ctx.Err() != nil || !ok {
				t.Errorf("%s: got a context that is done or has no deadline", name)
			}
			order = append(order, name)
			return err
		}
	}
	broken := errors.New("broken")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-goOn
		if r.Context().Err() != nil {
			t.Error("the request has ended with the context of Run")
		}
		io.WriteString(w, "answered")
	})}
	server.RegisterOnShutdown(func() { close(goOn) }) // the request ends only after the shutdown has begun
	stop, result := start(t, servehttp.Config{
		Server: server, Listener: l, Grace: time.Minute,
		Close: []func(context.Context) error{closer("first", nil), closer("second", broken), closer("third", nil)},
	})
	response := make(chan string)
	go func() {
		text, err := get(url)
		response <- text + errorText(err)
	}()
	<-arrived
	if order != nil {
		t.Error("closed before the end")
	}
	stop()
	if got := <-response; got != "200 OK answered" {
		t.Errorf("got %q", got)
	}
	if err := <-result; !errors.Is(err, broken) || err.Error() != "broken" {
		t.Errorf("got %v, want the error of a function in Close", err)
	}
	if !slices.Equal(order, []string{"first", "second", "third"}) {
		t.Errorf("closed %v", order)
	}
	if _, err := get(url); err == nil {
		t.Error("the server accepts connections after its end")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return " error"
}

func TestRunCutsRequestsOffAfterGrace(t *testing.T) {
	l, url := listen(t)
	arrived := make(chan bool)
	closed := false
	stop, result := start(t, servehttp.Config{
		Server: &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done() // ends when the connection is closed
		})},
		Listener: l, Grace: time.Millisecond,
		Close: []func(context.Context) error{func(context.Context) error { closed = true; return nil }},
	})
	response := make(chan error)
	go func() {
		_, err := get(url)
		response <- err
	}()
	<-arrived
	stop()
	if err := <-result; !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "servehttp: requests cut off: ") {
		t.Errorf("got %v, want that requests were cut off", err)
	}
	if err := <-response; err == nil {
		t.Error("the request was answered")
	}
	if !closed {
		t.Error("Close was not called")
	}
}

func TestRunLingers(t *testing.T) {
	l, url := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if ctx.Err() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	result := make(chan error, 1)
	go func() {
		result <- servehttp.Run(ctx, servehttp.Config{Server: server, Listener: l, Linger: time.Hour, Grace: -1})
	}()
	if got, err := get(url); err != nil || got != "200 OK " {
		t.Fatalf("got %q, %v", got, err)
	}
	cancel()
	if got, err := get(url); err != nil || got != "503 Service Unavailable " {
		t.Errorf("got %q, %v, want an answer while the server lingers", got, err)
	}
	if err := server.Shutdown(t.Context()); err != nil { // an end from elsewhere
		t.Error(err)
	}
	if err := <-result; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestRunOfAServerThatFails(t *testing.T) {
	l, _ := listen(t)
	l.Close()
	var closed atomic.Bool
	config := servehttp.Config{
		Server: &http.Server{}, Listener: l,
		Close: []func(context.Context) error{func(context.Context) error { closed.Store(true); return nil }},
	}
	if err := servehttp.Run(t.Context(), config); !errors.Is(err, net.ErrClosed) || !closed.Load() {
		t.Errorf("got %v, closed %v, want the error of the listener and a call of Close", err, closed.Load())
	}
	busy, _ := listen(t)
	defer busy.Close()
	closed.Store(false)
	config.Listener, config.Server = nil, &http.Server{Addr: busy.Addr().String()}
	if err := servehttp.Run(t.Context(), config); err == nil || !strings.HasPrefix(err.Error(), "servehttp: listen tcp") || !closed.Load() {
		t.Errorf("got %v, closed %v, want that the address is in use and a call of Close", err, closed.Load())
	}
}

func TestRunWaitsForAShutdownFromElsewhere(t *testing.T) {
	l, url := listen(t)
	arrived, goOn := make(chan bool), make(chan bool)
	var answered, early atomic.Bool
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- true
		<-goOn
		answered.Store(true)
	})}
	_, result := start(t, servehttp.Config{Server: server, Listener: l, Grace: time.Minute, Close: []func(context.Context) error{
		func(context.Context) error { early.Store(!answered.Load()); return nil },
	}})
	response := make(chan error)
	go func() {
		_, err := get(url)
		response <- err
	}()
	<-arrived
	server.RegisterOnShutdown(sync.OnceFunc(func() {
		time.Sleep(10 * time.Millisecond) // a Run that does not wait closes meanwhile
		close(goOn)
	}))
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-response; err != nil {
		t.Error(err)
	}
	if err := <-result; err != nil || early.Load() {
		t.Errorf("got %v, closed before the answer %v", err, early.Load())
	}
}

func TestRunOfAContextThatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, url := listen(t)
	if err := servehttp.Run(ctx, servehttp.Config{Server: &http.Server{}, Listener: l}); err != nil {
		t.Error(err)
	}
	if _, err := get(url); err == nil {
		t.Error("the listener is open")
	}
}

func TestRunServesTLS(t *testing.T) {
	cert := httptest.NewTLSServer(nil)
	defer cert.Close()
	l, _ := listen(t)
	stop, result := start(t, servehttp.Config{
		Server: &http.Server{
			Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }),
			TLSConfig: &tls.Config{Certificates: cert.TLS.Certificates},
		},
		Listener: l,
	})
	roots := x509.NewCertPool()
	roots.AddCert(cert.Certificate())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get("https://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	client.CloseIdleConnections()
	stop()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	c := servehttp.Config{Close: []func(context.Context) error{nil}}
	want := "servehttp: Server is nil, want a server\nservehttp: Close[0] is nil, want a function"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := servehttp.Run(t.Context(), c); err == nil || err.Error() != want {
		t.Errorf("Run: got %v", err)
	}
}
