package natstest

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A Proxy forwards connections to a server. It can lose or cut them, as a
// network does.
type Proxy struct {
	Addr string // host:port

	to     string
	cut    atomic.Bool
	hung   atomic.Bool
	mu     sync.Mutex
	open   []net.Conn
	closed bool
}

// NewProxy returns a Proxy for the address of a server. It is closed at the end
// of the test.
func NewProxy(t testing.TB, addr string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("natstest:", err)
	}
	p := &Proxy{Addr: listener.Addr().String(), to: addr}
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(listener, &wg) })
	t.Cleanup(func() {
		listener.Close()
		p.closeAll(true)
		wg.Wait()
	})
	return p
}

// URL returns the address for a client. A client of a Proxy needs the option
// [nats.IgnoreDiscoveredServers], or it finds the servers behind it.
func (p *Proxy) URL() string { return "nats://" + p.Addr }

// SetCut closes all connections, and further connections immediately, until it
// is called with false.
func (p *Proxy) SetCut(cut bool) {
	p.cut.Store(cut)
	p.closeAll(false)
}

// SetHung loses all bytes in both directions until it is called with false. A
// connection that has lost bytes stays open and never works again.
func (p *Proxy) SetHung(hung bool) { p.hung.Store(hung) }

// add keeps connections to be closed, and reports false if they are closed
// already.
func (p *Proxy) add(more ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cut.Load() {
		for _, conn := range more {
			conn.Close()
		}
		return false
	}
	p.open = append(p.open, more...)
	return true
}

func (p *Proxy) closeAll(forever bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = p.closed || forever
	for _, conn := range p.open {
		conn.Close()
	}
	p.open = nil
}

func (p *Proxy) accept(l net.Listener, wg *sync.WaitGroup) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		if p.add(client, server) {
			wg.Go(func() { p.copy(server, client) })
			wg.Go(func() { p.copy(client, server) })
		}
	}
}

// copy forwards bytes, and loses them while p is hung.
func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 1<<16)
	lost := false
	for {
		n, err := from.Read(buf)
		if lost = lost || n > 0 && p.hung.Load(); n > 0 && !lost {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
