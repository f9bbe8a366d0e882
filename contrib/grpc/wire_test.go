package redoubtgrpc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"

	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/retry"
)

// A wire is a connection of a server that speaks HTTP/2 by hand.
type wire struct {
	net.Conn
	*http2.Framer
}

// headers sends header fields, with end as the end of the stream.
func (w wire) headers(stream uint32, end bool, fields ...string) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
}

func (w wire) grpcHeaders(stream uint32, end bool, fields ...string) {
	w.headers(stream, end, append([]string{":status", "200", "content-type", "application/grpc"}, fields...)...)
}

// listen starts a server that calls answer for each request, and returns its
// address and the number of requests.
func listen(t *testing.T, answer func(w wire, stream uint32, n int)) (string, *atomic.Int32) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests := new(atomic.Int32)
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				preface := make([]byte, len(http2.ClientPreface))
				if _, err := io.ReadFull(conn, preface); err != nil {
					return
				}
				w := wire{conn, http2.NewFramer(conn, conn)}
				if w.WriteSettings() != nil {
					return
				}
				for {
					f, err := w.ReadFrame()
					if err != nil {
						return
					}
					switch f := f.(type) {
					case *http2.SettingsFrame:
						if !f.IsAck() {
							_ = w.WriteSettingsAck()
						}
					case *http2.PingFrame:
						if !f.IsAck() {
							_ = w.WritePing(true, f.Data)
						}
					case *http2.HeadersFrame:
						answer(w, f.StreamID, int(requests.Add(1)))
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		lis.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return lis.Addr().String(), requests
}

// unused returns an address that refuses connections.
func unused(t *testing.T) string {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
	return lis.Addr().String()
}

// Failures below gRPC, on a real connection. The third answer is a success,
// unless a row says otherwise.
func TestFailuresOfTheWire(t *testing.T) {
	ok := func(w wire, stream uint32) {
		w.grpcHeaders(stream, false)
		_ = w.WriteData(stream, false, []byte{0, 0, 0, 0, 0})
		w.headers(stream, true, "grpc-status", "0")
	}
	tests := []struct {
		name             string
		answer           func(w wire, stream uint32, n int)
		code             codes.Code
		idempotent, once int // requests that arrive
		judged           judged
	}{
		{"reset with INTERNAL_ERROR", func(w wire, s uint32, _ int) { _ = w.WriteRSTStream(s, http2.ErrCodeInternal) }, codes.Internal, 1, 1, judged{0, 1, 0}},
		{"reset with CANCEL", func(w wire, s uint32, _ int) { _ = w.WriteRSTStream(s, http2.ErrCodeCancel) }, codes.Canceled, 1, 1, judged{0, 1, 0}},
		{"reset with ENHANCE_YOUR_CALM", func(w wire, s uint32, _ int) { _ = w.WriteRSTStream(s, http2.ErrCodeEnhanceYourCalm) }, codes.ResourceExhausted, 1, 1, judged{0, 0, 1}},
		// gRPC itself repeats a request that the server has not
		// processed, once.
		{"reset with REFUSED_STREAM", func(w wire, s uint32, _ int) { _ = w.WriteRSTStream(s, http2.ErrCodeRefusedStream) }, codes.Unavailable, 6, 2, judged{0, 1, 0}},
		{"GOAWAY before the request was processed", func(w wire, _ uint32, _ int) { _ = w.WriteGoAway(0, http2.ErrCodeNo, nil) }, codes.Unavailable, 6, 2, judged{0, 1, 0}},
		{"GOAWAY, then the end", func(w wire, s uint32, _ int) { _ = w.WriteGoAway(s, http2.ErrCodeNo, nil); w.Close() }, codes.Unavailable, 3, 1, judged{0, 1, 0}},
		{"the connection ends", func(w wire, _ uint32, _ int) { w.Close() }, codes.Unavailable, 3, 1, judged{0, 1, 0}},
		{"the connection ends after the header", func(w wire, s uint32, _ int) { w.grpcHeaders(s, false); w.Close() }, codes.Unavailable, 3, 1, judged{0, 1, 0}},
		{"the connection ends in a message", func(w wire, s uint32, _ int) {
			w.grpcHeaders(s, false)
			_ = w.WriteData(s, false, []byte{0, 0, 0, 0, 9, 1})
			w.Close()
		}, codes.Unavailable, 3, 1, judged{0, 1, 0}},
		{"a status alone", func(w wire, s uint32, _ int) { w.grpcHeaders(s, true, "grpc-status", "14") }, codes.Unavailable, 3, 1, judged{0, 1, 0}},
		{"a status alone with a pushback", func(w wire, s uint32, _ int) {
			w.grpcHeaders(s, true, "grpc-status", "14", "grpc-retry-pushback-ms", "1")
		}, codes.Unavailable, 3, 3, judged{0, 0, 1}},
		{"a status alone that forbids", func(w wire, s uint32, _ int) {
			w.grpcHeaders(s, true, "grpc-status", "14", "grpc-retry-pushback-ms", "-1")
		}, codes.Unavailable, 1, 1, judged{0, 1, 0}},
		{"the header and a status with a pushback", func(w wire, s uint32, _ int) {
			w.grpcHeaders(s, false)
			w.headers(s, true, "grpc-status", "14", "grpc-retry-pushback-ms", "1")
		}, codes.Unavailable, 3, 3, judged{0, 0, 1}},
		{"no status", func(w wire, s uint32, _ int) { w.grpcHeaders(s, true) }, codes.Unknown, 1, 1, judged{0, 1, 0}},
		{"a status that is no number", func(w wire, s uint32, _ int) { w.grpcHeaders(s, true, "grpc-status", "x") }, codes.Unknown, 1, 1, judged{0, 1, 0}},
		{"a proxy answers 503", func(w wire, s uint32, _ int) {
			w.headers(s, false, ":status", "503", "content-type", "text/html")
			_ = w.WriteData(s, true, []byte("<h1>down</h1>"))
		}, codes.Unavailable, 3, 1, judged{0, 1, 0}},
		{"a proxy answers 404", func(w wire, s uint32, _ int) {
			w.headers(s, true, ":status", "404", "content-type", "text/html")
		}, codes.Unimplemented, 1, 1, judged{0, 0, 1}},
		{"a proxy answers 401", func(w wire, s uint32, _ int) {
			w.headers(s, true, ":status", "401", "content-type", "text/html")
		}, codes.Unauthenticated, 1, 1, judged{0, 0, 1}},
		{"success without a message", func(w wire, s uint32, _ int) { w.grpcHeaders(s, true, "grpc-status", "0") }, codes.Internal, 1, 1, judged{0, 1, 0}},
		{"success", func(w wire, s uint32, _ int) { ok(w, s) }, codes.OK, 1, 1, judged{1, 0, 0}},
	}
	for _, test := range tests {
		for _, idempotent := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/idempotent=%v", test.name, idempotent), func(t *testing.T) {
				addr, requests := listen(t, test.answer)
				b, g := gate()
				client := redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: func(string) bool { return idempotent }}
				cc := dial(t, "passthrough:///"+addr, guarded(client)...)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, new(request), grpc.WaitForReady(true))
				checkCode(t, err, test.code)
				want, times := test.once, uint64(test.once)
				if idempotent {
					want, times = test.idempotent, uint64(test.idempotent)
				}
				if strings.Contains(test.name, "processed") || strings.Contains(test.name, "REFUSED") {
					times /= 2 // gRPC's own repetition is part of an attempt
				}
				checkEqual(t, int(requests.Load()), want)
				checkEqual(t, outcomes(b), judged{test.judged[0] * times, test.judged[1] * times, test.judged[2] * times})
			})
		}
	}
}

// A request that never left may be sent again, whatever its method does.
func TestUnsentRequests(t *testing.T) {
	b, g := gate()
	cc := dial(t, "passthrough:///"+unused(t), guarded(redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: never})...)
	_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, outcomes(b), judged{0, 3, 0})

	stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(t.Context())
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, stream == nil, true)
	checkEqual(t, outcomes(b), judged{0, 6, 0})
}

func TestUnreachableServerUntilTheDeadline(t *testing.T) {
	b, g := gate()
	cc := dial(t, "passthrough:///"+unused(t), guarded(redoubtgrpc.Client{Policy: quick, Gate: g})...)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, new(request), grpc.WaitForReady(true))
	checkCode(t, err, codes.DeadlineExceeded)
	checkEqual(t, outcomes(b), judged{0, 1, 0})
}

func TestMessagesThatAreTooLarge(t *testing.T) {
	for _, test := range []struct {
		name string
		opt  grpc.CallOption
	}{
		{"to send", grpc.MaxCallSendMsgSize(1)},
		{"to receive", grpc.MaxCallRecvMsgSize(1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &service{}
			b, g := gate()
			cc := serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: always})...)
			_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), &request{ResponseSize: 3, FillUsername: true}, test.opt)
			checkCode(t, err, codes.ResourceExhausted)
			checkEqual(t, outcomes(b), judged{0, 0, 1})
		})
	}
}

// Half-open: the server has gone and the connection stays. The attempt timeout
// ends the attempt, and a new stream is tried.
func TestServerThatIsSilent(t *testing.T) {
	addr, requests := listen(t, func(w wire, s uint32, n int) {
		if n > 1 {
			w.grpcHeaders(s, false)
			_ = w.WriteData(s, false, []byte{0, 0, 0, 0, 0})
			w.headers(s, true, "grpc-status", "0")
		}
	})
	policy := func(string) retry.Policy {
		return retry.Policy{Backoff: retry.Constant(1), AttemptTimeout: 50 * time.Millisecond}
	}
	b, g := gate()
	cc := dial(t, "passthrough:///"+addr, guarded(redoubtgrpc.Client{Policy: policy, Gate: g, Idempotent: always})...)
	stub := grpc_testing.NewTestServiceClient(cc)
	_, err := stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.OK)
	checkEqual(t, outcomes(b), judged{1, 1, 0})

	requests.Store(0)
	stream, err := stub.StreamingOutputCall(t.Context(), new(grpc_testing.StreamingOutputCallRequest))
	checkCode(t, err, codes.OK)
	_, err = stream.Recv()
	checkCode(t, err, codes.OK)
	checkEqual(t, int(requests.Load()), 2)
}

// A connection need not have an address, such as a tunnel over pipes.
type nameless struct{ net.Conn }

func (nameless) RemoteAddr() net.Addr { return nil }

func TestConnectionWithoutAnAddress(t *testing.T) {
	addr, requests := listen(t, func(w wire, _ uint32, _ int) { w.Close() })
	opts := append(guarded(redoubtgrpc.Client{Policy: quick, Idempotent: never}), grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return nameless{conn}, nil
	}))
	_, err := grpc_testing.NewTestServiceClient(dial(t, "passthrough:///"+addr, opts...)).UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, int(requests.Load()), 1)
}

// The caller's context may belong to a call that the program serves, whose peer
// is not the peer of the request.
func TestUnsentRequestsOfAHandler(t *testing.T) {
	target := "passthrough:///" + unused(t)
	b, g := gate()
	stub := grpc_testing.NewTestServiceClient(dial(t, target, guarded(redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: never})...))
	ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}})
	_, err := stub.UnaryCall(ctx, new(request))
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, outcomes(b), judged{0, 3, 0})
	stream, err := stub.StreamingOutputCall(ctx, new(outputRequest))
	checkCode(t, err, codes.OK)
	_, err = stream.Recv()
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, outcomes(b), judged{0, 6, 0})
}

// gRPC repeats a request that was not processed, and may lose the error of the
// repetition: the call then ends with io.EOF.
func TestLostErrorsOfRepeatedRequests(t *testing.T) {
	for range 60 {
		addr, _ := listen(t, func(w wire, _ uint32, _ int) { _ = w.WriteGoAway(0, http2.ErrCodeNo, nil) })
		b, g := gate()
		stub := grpc_testing.NewTestServiceClient(dial(t, "passthrough:///"+addr, guarded(redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: always})...))
		_, err := stub.UnaryCall(t.Context(), new(request))
		checkCode(t, err, codes.Unavailable)
		checkEqual(t, outcomes(b), judged{0, 3, 0})
		stream, err := stub.StreamingOutputCall(t.Context(), new(outputRequest))
		checkCode(t, err, codes.OK)
		_, err = stream.Recv()
		checkCode(t, err, codes.Unavailable)
		checkEqual(t, outcomes(b), judged{0, 6, 0})
	}
}

// A call may end without a message, with and without a header.
func TestEmptyStreams(t *testing.T) {
	for name, answer := range map[string]func(w wire, stream uint32, _ int){
		"a status alone": func(w wire, s uint32, _ int) { w.grpcHeaders(s, true, "grpc-status", "0") },
		"a header": func(w wire, s uint32, _ int) {
			w.grpcHeaders(s, false)
			w.headers(s, true, "grpc-status", "0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, requests := listen(t, answer)
			stub := grpc_testing.NewTestServiceClient(dial(t, "passthrough:///"+addr, guarded(redoubtgrpc.Client{Policy: quick, Idempotent: always})...))
			stream, err := stub.StreamingOutputCall(t.Context(), new(outputRequest))
			checkCode(t, err, codes.OK)
			_, err = stream.Recv()
			checkEqual(t, err, io.EOF)
			checkEqual(t, int(requests.Load()), 1)
		})
	}
}
