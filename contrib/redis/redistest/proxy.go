package redistest

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy forwards connections to a server. It can delay or lose replies, as a
// slow network does.
type Proxy struct {
	Addr  string // host:port
	delay atomic.Int64
	lose  atomic.Bool
	cut   atomic.Bool
	hung  atomic.Bool
	to    atomic.Pointer[string]
	conns conns
}

// Slow returns a Proxy for s, without a delay. It is closed at the end of the
// test.
func (s *Server) Slow() *Proxy {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal("redistest:", err)
	}
	p := &Proxy{Addr: listener.Addr().String()}
	p.to.Store(&s.Addr)
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(listener, &wg) })
	s.t.Cleanup(func() {
		listener.Close()
		p.conns.close(true)
		wg.Wait()
	})
	return p
}

// SetDelay delays all further replies of the server by d.
func (p *Proxy) SetDelay(d time.Duration) { p.delay.Store(int64(d)) }

// Lose closes the connection instead of forwarding the next reply of the
// server.
func (p *Proxy) Lose() { p.lose.Store(true) }

// SetCut closes all connections, and further connections immediately, until it
// is called with false.
func (p *Proxy) SetCut(cut bool) {
	p.cut.Store(cut)
	p.conns.close(false)
}

// SetHung loses all bytes in both directions until it is called with false. A
// connection that has lost bytes stays open and never works again.
func (p *Proxy) SetHung(hung bool) { p.hung.Store(hung) }

// MoveTo forwards further connections to s. The open connections stay.
func (p *Proxy) MoveTo(s *Server) { p.to.Store(&s.Addr) }

// conns contains the open connections.
type conns struct {
	mu     sync.Mutex
	open   []net.Conn
	closed bool
}

// add adds connections, and closes them if c is closed.
func (c *conns) add(more ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open = append(c.open, more...); c.closed {
		for _, conn := range more {
			conn.Close()
		}
	}
}

func (c *conns) close(forever bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = forever
	for _, conn := range c.open {
		conn.Close()
	}
	c.open = nil
}

func (p *Proxy) accept(l net.Listener, wg *sync.WaitGroup) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", *p.to.Load())
		if err != nil {
			client.Close()
			continue
		}
		p.conns.add(client, server)
		if p.cut.Load() {
			client.Close()
			server.Close()
			continue
		}
		wg.Go(func() { p.copy(server, client, false) })
		wg.Go(func() { p.copy(client, server, true) })
	}
}

// copy forwards bytes. If late, it delays and loses them as p is set.
func (p *Proxy) copy(to, from net.Conn, late bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 1<<16)
	dead := false
	for {
		n, err := from.Read(buf)
		if dead = dead || n > 0 && p.hung.Load(); dead {
			n = 0
		}
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
