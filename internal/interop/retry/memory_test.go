package retry_test

import (
	"net"
	"sync"
)

// A listener accepts connections in memory, for tests in virtual time.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return address{} }

// dial returns the client's end of a connection that the listener accepts.
func (l *listener) dial() (net.Conn, error) {
	client, server := newPipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "example.com:443" }

// A pipe is an end of a net.Pipe whose Write does not wait for a Read.
type pipe struct {
	net.Conn
	mu     sync.Mutex
	queue  [][]byte
	wake   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newPipe() (client, server *pipe) {
	a, b := net.Pipe()
	client = &pipe{Conn: a, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	server = &pipe{Conn: b, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	go client.pump()
	go server.pump()
	return client, server
}

func (p *pipe) Write(b []byte) (int, error) {
	select {
	case <-p.closed:
		return 0, net.ErrClosed
	default:
	}
	p.mu.Lock()
	p.queue = append(p.queue, append([]byte(nil), b...))
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return len(b), nil
}

// pump writes the queue until the end of the connection.
func (p *pipe) pump() {
	for {
		select {
		case <-p.wake:
		case <-p.closed:
			return
		}
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		p.mu.Unlock()
		for _, b := range queue {
			if _, err := p.Conn.Write(b); err != nil {
				return
			}
		}
	}
}

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.Conn.Close()
}
