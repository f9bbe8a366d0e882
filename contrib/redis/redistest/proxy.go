//go:build unix

package redistest

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy passes connections on to a server, late if told so: a slow network.
type Proxy struct {
	Addr  string // host:port
	delay atomic.Int64
	lose  atomic.Bool
}

// Slow returns a proxy for s that does not delay anything yet. It is closed at the end of the test.
func (s *Server) Slow() *Proxy {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal("redistest:", err)
	}
	p := &Proxy{Addr: listener.Addr().String()}
	var all conns
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(listener, s.Addr, &all, &wg) })
	s.t.Cleanup(func() {
		listener.Close()
		all.close()
		wg.Wait()
	})
	return p
}

// SetDelay delays everything that comes from the server from now on by d.
func (p *Proxy) SetDelay(d time.Duration) { p.delay.Store(int64(d)) }

// Lose closes the connection instead of passing on the next answer of the server.
func (p *Proxy) Lose() { p.lose.Store(true) }

// conns are the open connections.
type conns struct {
	mu     sync.Mutex
	open   []net.Conn
	closed bool
}

// add takes in connections, and closes them if it is too late.
func (c *conns) add(more ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open = append(c.open, more...); c.closed {
		for _, conn := range more {
			conn.Close()
		}
	}
}

func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, conn := range c.open {
		conn.Close()
	}
}

func (p *Proxy) accept(l net.Listener, to string, all *conns, wg *sync.WaitGroup) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			client.Close()
			continue
		}
		all.add(client, server)
		wg.Go(func() { p.copy(server, client, false) })
		wg.Go(func() { p.copy(client, server, true) })
	}
}

// copy passes bytes on, and what comes from the server late.
func (p *Proxy) copy(to, from net.Conn, late bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if d := p.delay.Load(); late && d > 0 {
			time.Sleep(time.Duration(d))
		}
		if late && n > 0 && p.lose.CompareAndSwap(true, false) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
