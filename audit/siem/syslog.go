package siem

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// SyslogConfig configures a [Syslog].
type SyslogConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the sink in errors. It may be empty.
	Name string

	// Addr is the host and the port of the server. Required. The registered
	// ports are 6514 with TLS and 601 without.
	Addr string

	// TLS is the configuration of TLS. Nil means TCP without encryption. An
	// empty ServerName means the host of Addr.
	TLS *tls.Config

	// Encode appends the message of an event, in one line. Nil means
	// [audit.Event.AppendJSON]. See also the methods of [Product].
	Encode func(e *audit.Event, dst []byte) []byte

	// Host and App are the names of this machine and program in the header.
	// They contain printable ASCII without spaces. Empty means no name.
	Host, App string

	// Facility is the facility of the messages, 0 to 23. Zero means 13, log
	// audit.
	Facility int

	// MaxMessage bounds a message in bytes. An event over the bound loses
	// attributes, changes and the ends of its texts. Zero means 8 KiB, the
	// bound of common servers. The smallest bound is 2 KiB.
	MaxMessage int

	// Timeout bounds one call of WriteEvents with all its tries. Zero means 30
	// seconds. Negative means no limit other than the context.
	Timeout time.Duration

	// Dial connects to Addr. Nil means a [net.Dialer].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Validate reports everything that is wrong with c. The error matches
// [audit.ErrInvalid].
func (c SyslogConfig) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, invalid("syslog: Addr is %s, want a host and a port", quote.Text(c.Addr)))
	}
	if !isHeader(c.Host, 255) {
		errs = append(errs, invalid("syslog: Host is %s, want at most 255 printable ASCII characters", quote.Text(c.Host)))
	}
	if !isHeader(c.App, 48) {
		errs = append(errs, invalid("syslog: App is %s, want at most 48 printable ASCII characters", quote.Text(c.App)))
	}
	if c.Facility < 0 || c.Facility > 23 {
		errs = append(errs, invalid("syslog: Facility is %d, want 0 to 23", c.Facility))
	}
	if c.MaxMessage != 0 && c.MaxMessage < minMessage {
		errs = append(errs, invalid("syslog: MaxMessage is %d, want at least %d", c.MaxMessage, minMessage))
	}
	return errors.Join(errs...)
}

// minMessage is the size that every server accepts, by RFC 5424.
const minMessage = 2048

func isHeader(s string, max int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= max
}

// A fault is an error of a class with its own text.
type fault struct {
	text  string
	class error
}

func (e *fault) Error() string        { return e.text }
func (e *fault) Is(target error) bool { return target == e.class }

func invalid(format string, args ...any) error {
	return &fault{"siem: " + fmt.Sprintf(format, args...), audit.ErrInvalid}
}

// A Syslog is a sink that sends events to a syslog server: RFC 5424 messages
// over TCP or TLS with octet counting (RFC 6587, RFC 5425). It connects at the
// first event, and again after an error. Put an [audit.Buffer] in front of it.
//
// Syslog has no acknowledgments. Events that were written just before a
// connection broke may be lost. Therefore the sink sends the last batch again
// if the connection breaks within 10 seconds. Events can then occur twice, with
// the same ID.
type Syslog struct {
	config  SyslogConfig
	op      string
	once    sync.Once     // for the first Close
	closing chan struct{} // closed when Close starts
	turn    chan struct{} // contains a value while a call uses the fields below

	link *link
	last []byte    // the last batch that was written
	at   time.Time // when
}

// A link is a connection. A goroutine reads from it, because a write does not
// find out that the server has gone.
type link struct {
	net.Conn
	broken chan struct{} // closed when the connection has ended
}

// resend is the age at which a written batch is taken as received.
const resend = 10 * time.Second

// NewSyslog returns a sink for c.Addr. It panics with the error of
// [SyslogConfig.Validate].
func NewSyslog(c SyslogConfig) *Syslog {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.Encode == nil {
		c.Encode = (*audit.Event).AppendJSON
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	c.Facility, c.MaxMessage = cmp.Or(c.Facility, 13), cmp.Or(c.MaxMessage, 8<<10)
	return &Syslog{config: c, op: opOf("syslog", c.Name), turn: make(chan struct{}, 1), closing: make(chan struct{})}
}

// opOf returns the beginning of the error texts of a sink.
func opOf(kind, name string) string {
	if name == "" {
		return "siem: " + kind
	}
	return "siem: " + quote.Name(name)
}

// WriteEvents sends the events. It tries again until the context or the timeout
// ends.
//
// Errors: [audit.ErrClosed], [audit.ErrFailed] if nothing was sent,
// [audit.ErrUncertain] otherwise, each with the last error of the connection.
func (s *Syslog) WriteEvents(ctx context.Context, events []*audit.Event) error {
	var batch []byte
	for _, e := range events { // outside the lock: an attribute may use this sink
		batch = s.append(batch, e)
	}
	if len(batch) == 0 {
		return nil
	}
	t := newTries(ctx, s.config.Timeout, s.op, s.closing)
	defer t.end()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-t.ctx.Done():
		return t.failed(errors.New("another call is sending"))
	case <-s.closing:
	}
	for !s.closed() {
		sent, err := s.send(t.ctx, batch)
		if err == nil {
			s.last, s.at = batch, time.Now()
			return nil
		}
		t.unsure = t.unsure || sent
		if err := t.wait(err, 0); err != nil {
			return err
		}
	}
	return &fault{s.op + ": closed", audit.ErrClosed}
}

// send writes the batch to the connection, and makes a connection if there is
// none. Sent reports whether bytes may have arrived.
func (s *Syslog) send(ctx context.Context, batch []byte) (sent bool, err error) {
	if s.link != nil {
		select {
		case <-s.link.broken:
			s.drop()
		default:
		}
	}
	if s.link == nil {
		if err := s.dial(ctx); err != nil {
			return false, err
		}
		if s.last != nil && time.Since(s.at) < resend {
			batch = append(s.last[:len(s.last):len(s.last)], batch...)
		}
	}
	conn := s.link.Conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })
	n, err := conn.Write(batch)
	if !stop() && err == nil {
		_ = conn.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		s.drop()
	}
	return n > 0, err
}

func (s *Syslog) dial(ctx context.Context) error {
	conn, err := s.config.Dial(ctx, "tcp", s.config.Addr)
	if err != nil {
		return err
	}
	if s.config.TLS != nil {
		c := s.config.TLS.Clone()
		if c.ServerName == "" {
			c.ServerName, _, _ = net.SplitHostPort(s.config.Addr)
		}
		secure := tls.Client(conn, c)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return err
		}
		conn = secure
	}
	l := &link{conn, make(chan struct{})}
	go func() {
		defer close(l.broken)
		_, _ = io.Copy(io.Discard, conn) // servers send nothing
		_ = conn.Close()
	}()
	go s.rescue(l)
	s.link = l
	return nil
}

// rescue sends the last batch again if l breaks shortly after it. It waits a
// second, but not for the next call, which may be far away.
func (s *Syslog) rescue(l *link) {
	<-l.broken
	select { // a server may end every connection immediately
	case <-time.After(time.Second):
	case <-s.closing:
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	t := newTries(context.Background(), s.config.Timeout, s.op, s.closing)
	defer t.end()
	for !s.closed() && (s.link == l || s.link == nil) && s.last != nil && time.Since(s.at) < resend {
		_, err := s.send(t.ctx, nil)
		if err == nil || t.wait(err, 0) != nil {
			return
		}
	}
}

func (s *Syslog) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *Syslog) drop() {
	_ = s.link.Close()
	<-s.link.broken
	s.link = nil
}

// Close ends the connection. Waiting calls fail. A second Close does no harm.
func (s *Syslog) Close() error {
	s.once.Do(func() { close(s.closing) })
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.link != nil {
		if c, ok := s.link.Conn.(*tls.Conn); ok {
			_ = c.CloseWrite() // the server reads to the end
		}
		s.drop()
	}
	return nil
}

// append appends a message with its length.
func (s *Syslog) append(dst []byte, e *audit.Event) []byte {
	severity := 6 // informational
	if e.Outcome == audit.Denied || e.Outcome == audit.Failure {
		severity = 4 // warning
	}
	id := string(e.Action)
	head := fmt.Appendf(nil, "<%d>1 %s %s %s - %s - ", s.config.Facility*8+severity, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		cmp.Or(s.config.Host, "-"), cmp.Or(s.config.App, "-"), cmp.Or(id[:min(len(id), 32)], "-"))
	text := encodeWithin(s.config.Encode, e, s.config.MaxMessage-len(head))
	dst = append(strconv.AppendInt(dst, int64(len(head)+len(text)), 10), ' ')
	return append(append(dst, head...), text...)
}

// encodeWithin returns the encoded event within max bytes: without attributes
// and changes, then with ever shorter texts. A text of an encoder that does not
// shrink is cut.
func encodeWithin(encode func(*audit.Event, []byte) []byte, e *audit.Event, max int) []byte {
	text := encode(e, nil)
	if len(text) <= max {
		return text
	}
	short := *e
	short.Attrs, short.Changes, short.Truncated = nil, nil, true
	for n := 1024; n >= 16; n /= 4 {
		for _, s := range []*string{
			&short.Reason, &short.ID, &short.Actor.ID, &short.Actor.Type, &short.Actor.Session, &short.Actor.OnBehalfOf,
			&short.Target.ID, &short.RequestID, &short.Source,
		} {
			*s = (*s)[:min(len(*s), n)]
		}
		if text = encode(&short, text[:0]); len(text) <= max {
			return text
		}
	}
	return text[:max]
}
