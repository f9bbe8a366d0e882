package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

const (
	defaultMaxInFlight = 4 << 20
	defaultAckWait     = 5 * time.Second

	maxLines  = 1 << 14                // in flight
	overhead  = 1 << 10                // bytes that a line in flight takes, about, beside its text
	housework = 100 * time.Millisecond // between two looks at the time
	minPause  = 100 * time.Millisecond
	maxPause  = 5 * time.Second
	saveEvery = time.Second
)

// A ShipperConfig describes a [Shipper].
type ShipperConfig struct {
	_ [0]func()

	// Name appears in events and [ShipperStats]. It may be empty.
	Name string

	// Conn is the connection. It may publish to the subjects under Prefix and
	// subscribe to an inbox; nothing more is needed. It should reconnect
	// forever, see nats.MaxReconnects. Required.
	Conn *nats.Conn

	// Prefix begins the subject of each line: "logs" means "logs.0" to
	// "logs.15". The stream must exist and store these subjects. Required.
	Prefix string

	// Partitions is the number of subjects, from 1 to 4096. It must be equal
	// in all Shippers and Consumers of a Prefix. Required.
	Partitions int

	// Host is the name of this machine in records. No other machine may have
	// it. It consists of letters, digits, and any of - _ . : and is at most 128
	// bytes long. Required.
	Host string

	// Key returns the key of the detector, which determines the partition. It
	// must not keep or change the record. If the key is empty, or Key is nil,
	// the lines of a log have the same partition.
	Key func(*logscan.Record) []byte

	// MaxInFlight bounds the lines that were published and are not
	// acknowledged, in bytes of memory. At the bound, the logs are not read
	// further. A single line may exceed it. Zero means 4 MiB. A negative value
	// is invalid.
	MaxInFlight int

	// AckWait is the time after which a line without an acknowledgement is
	// published again. Zero means 5 seconds. A negative value is invalid.
	AckWait time.Duration

	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
}

// Validate reports every field whose value is missing or out of range.
func (c ShipperConfig) Validate() error {
	var p problems
	p.add(c.Conn == nil, "Conn is missing")
	p.addLayout(c.Prefix, c.Partitions)
	p.add(!isToken(c.Host, ".:") || len(c.Host) > 128, "Host is %q, want 1 to 128 letters, digits, - _ . or :", c.Host)
	p.add(c.MaxInFlight < 0, "MaxInFlight is %d, want at least 0 (4 MiB)", c.MaxInFlight)
	p.add(c.AckWait < 0, "AckWait is %v, want at least 0 (5s)", c.AckWait)
	return p.err()
}

// ShipperStats is a snapshot of the counts of a [Shipper]. All counts only
// grow, except InFlight and InFlightBytes, which describe the present.
type ShipperStats struct {
	Name          string `json:"name"`            // ShipperConfig.Name
	Stored        uint64 `json:"stored"`          // lines that the stream has acknowledged
	StoredBytes   uint64 `json:"stored_bytes"`    // bytes of these lines
	Duplicates    uint64 `json:"duplicates"`      // of these lines, those that the stream contained already
	Repeated      uint64 `json:"repeated"`        // lines that were published again
	Cut           uint64 `json:"cut"`             // lines that were too long for the server and were cut
	CutBytes      uint64 `json:"cut_bytes"`       // bytes that were cut off
	Dropped       uint64 `json:"dropped"`         // lines without room for any of their bytes
	Blocked       uint64 `json:"blocked"`         // times that the stream stopped to accept lines
	InputErrors   uint64 `json:"input_errors"`    // errors of logs and their State
	InFlight      int64  `json:"in_flight"`       // lines without an acknowledgement
	InFlightBytes int64  `json:"in_flight_bytes"` // bytes of memory that these lines take, about
}

// A Shipper publishes the lines of logs to a JetStream stream, and saves the
// places in the logs when the lines are stored.
type Shipper struct {
	c        ShipperConfig
	reporter reporter

	stored, storedBytes, duplicates, repeated, cut, cutBytes, dropped, blocked, inputErrors atomic.Uint64
	inFlight, inFlightBytes                                                                 atomic.Int64
}

// NewShipper returns a Shipper. It panics with the error of
// [ShipperConfig.Validate].
func NewShipper(c ShipperConfig) *Shipper {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = defaultMaxInFlight
	}
	if c.AckWait == 0 {
		c.AckWait = defaultAckWait
	}
	return &Shipper{c: c, reporter: reporter{name: c.Name, hook: c.OnEvent}}
}

// Stats returns the counts so far.
func (s *Shipper) Stats() ShipperStats {
	return ShipperStats{
		Name: s.c.Name, Stored: s.stored.Load(), StoredBytes: s.storedBytes.Load(), Duplicates: s.duplicates.Load(),
		Repeated: s.repeated.Load(), Cut: s.cut.Load(), CutBytes: s.cutBytes.Load(), Dropped: s.dropped.Load(),
		Blocked: s.blocked.Load(), InputErrors: s.inputErrors.Load(),
		InFlight: s.inFlight.Load(), InFlightBytes: s.inFlightBytes.Load(),
	}
}

// Ship publishes the lines of logs until ctx is done. logs.State is required.
// It contains the places up to which all lines are stored; Ship also writes
// files with its name and ".ahead" or ".pinned". A single Ship at a time may
// use a State. With logs.Follower.StopAtEOF, Ship returns nil when everything
// complete is stored.
//
// When ctx is done, Ship waits for the acknowledgement of the lines in flight,
// at most AckWait.
//
// Errors: the error of an invalid Dir, of a State that cannot be read, or of
// ctx; [nats.ErrConnectionClosed]. All other errors are events.
func (s *Shipper) Ship(ctx context.Context, logs follow.Dir) error {
	if logs.State == "" {
		return errors.Join(errors.New("fleet: State is missing"), logs.Validate())
	}
	if err := logs.Validate(); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	p := &pump{Shipper: s, lines: make(chan *line), acks: make(chan *nats.Msg, 2*maxLines)}
	logs, err := p.state.open(logs)
	if err != nil {
		return fmt.Errorf("fleet: state: %w", err)
	}
	p.inbox = s.c.Conn.NewInbox()
	sub, err := s.c.Conn.ChanSubscribe(p.inbox+".*", p.acks)
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	defer sub.Unsubscribe()

	pumping, abort := context.WithCancel(ctx)
	defer abort()
	p.ctx = pumping
	var pumped error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop() // in case the pump ends first
		pumped = p.run()
	})
	err = func() error {
		panicked := true
		defer func() {
			if panicked { // Key or a parser
				abort()
			}
			close(p.lines)
			wg.Wait()
		}()
		err := s.read(reading, logs, p.lines)
		panicked = false
		return err
	}()
	switch {
	case pumped != nil:
		return pumped
	case ctx.Err() != nil:
		return ctxerr.New(ctx, "fleet: ship")
	}
	return err
}

// read passes the lines of logs to a pump. It returns the error that has ended
// the loop.
func (s *Shipper) read(ctx context.Context, logs follow.Dir, lines chan<- *line) (last error) {
	for rec, err := range logs.Records(ctx) {
		if err != nil {
			var in *logscan.InputError
			if last = err; errtree.As(err, &in) {
				last = nil
				s.failed(ctx, err)
			}
			continue
		}
		l := &line{msg: newMessage(&s.c, rec)}
		l.msg.Data = bytes.Clone(rec.Line)
		l.dropped = rec.Dropped
		l.size = int64(len(l.msg.Data) + len(rec.Source) + overhead)
		select {
		case lines <- l:
		case <-ctx.Done():
			return nil // the Dir does not count the record as handled
		}
	}
	return last
}

func (s *Shipper) failed(ctx context.Context, err error) {
	s.inputErrors.Add(1)
	s.reporter.report(ctx, Event{Kind: KindInput, Partition: -1, Err: err})
}

// A line is published and not yet acknowledged, or about to be.
type line struct {
	msg     *nats.Msg
	size    int64     // of the memory that it takes
	dropped int64     // bytes of the line beyond msg.Data
	sent    time.Time // when it was published last
	done    bool      // it is stored or dropped
	isCut   bool      // by the Shipper
}

// A pump publishes lines and waits for their acknowledgement.
type pump struct {
	*Shipper
	ctx   context.Context // of Ship
	state state
	inbox string
	lines chan *line
	acks  chan *nats.Msg

	queue    []*line // in flight, in order
	first    uint64  // number of queue[0]: lines before it are acknowledged
	blocked  bool
	again    time.Time // when the lines in flight are published again; zero: no failure
	pause    time.Duration
	saved    time.Time
	stateErr string
}

// run returns when lines is closed and all lines are acknowledged, or ctx was
// done AckWait ago.
func (p *pump) run() error {
	tick := time.NewTicker(housework)
	defer tick.Stop()
	defer func() {
		p.inFlight.Add(-int64(len(p.queue)))
		for _, l := range p.queue {
			p.inFlightBytes.Add(-l.size)
		}
	}()
	var deadline time.Time // once ctx is done
	open := true
	for open || len(p.queue) > 0 {
		lines := p.lines
		if !open || p.blocked || p.full() {
			lines = nil
		}
		select {
		case l, ok := <-lines:
			if open = ok; ok {
				p.take(l)
			}
		case m := <-p.acks:
			p.answer(m)
		case <-tick.C:
			if p.c.Conn.IsClosed() {
				return fmt.Errorf("fleet: %w", nats.ErrConnectionClosed)
			}
			p.retry(time.Now())
			if p.passed() > 0 && time.Since(p.saved) > saveEvery {
				p.save() // the Dir has read its State, since it has passed a line
			}
			if p.ctx.Err() != nil && deadline.IsZero() {
				deadline = time.Now().Add(p.c.AckWait)
			}
			if !deadline.IsZero() && time.Now().After(deadline) {
				return nil // the rest is shipped by the next Ship
			}
		}
	}
	p.save()
	return nil
}

// full reports whether no further line may be in flight.
func (p *pump) full() bool {
	return len(p.queue) >= maxLines || p.inFlightBytes.Load() >= int64(p.c.MaxInFlight)
}

// passed returns the number of lines that were taken.
func (p *pump) passed() uint64 { return p.first + uint64(len(p.queue)) }

// take publishes a new line.
func (p *pump) take(l *line) {
	p.queue = append(p.queue, l)
	p.inFlight.Add(1)
	p.inFlightBytes.Add(l.size)
	p.send(l, p.passed()-1)
}

// send publishes the line with a number.
func (p *pump) send(l *line, number uint64) {
	l.sent = time.Now()
	if !p.c.Conn.IsConnected() { // the buffer of the connection would only repeat the queue
		p.fail(nats.ErrDisconnected)
		return
	}
	if room := int(p.c.Conn.MaxPayload()) - headerSize(l.msg.Header) - headerRoom; len(l.msg.Data) > room && !p.shorten(l, room) {
		return
	}
	m := *l.msg
	m.Reply = p.inbox + "." + strconv.FormatUint(number, 36)
	if err := p.c.Conn.PublishMsg(&m); err != nil {
		p.fail(err)
	}
}

// headerRoom is room for the status line of the headers and for headerDropped.
const headerRoom = 64

func headerSize(h nats.Header) (n int) {
	for key, values := range h {
		for _, v := range values {
			n += len(key) + len(v) + len(": \r\n")
		}
	}
	return n
}

// shorten cuts a line. It drops the line if there is no room for any of its
// bytes, and then reports false.
func (p *pump) shorten(l *line, room int) bool {
	cut := int64(len(l.msg.Data) - max(room, 0))
	l.dropped += cut
	p.cutBytes.Add(uint64(cut))
	l.msg.Data = l.msg.Data[:max(room, 0)]
	l.msg.Header[headerDropped] = []string{strconv.FormatInt(l.dropped, 10)}
	e := Event{Kind: KindCut, Partition: -1, ID: l.msg.Header.Get(jetstream.MsgIDHeader), Cut: l.dropped}
	switch {
	case room <= 0:
		e.Kind, l.done = KindDropped, true
		p.dropped.Add(1)
	case !l.isCut:
		l.isCut = true
		p.cut.Add(1)
	}
	p.reporter.report(p.ctx, e)
	p.forget()
	return !l.done
}

// forget removes the first lines that are done.
func (p *pump) forget() {
	n := 0
	for n < len(p.queue) && p.queue[n].done {
		p.inFlight.Add(-1)
		p.inFlightBytes.Add(-p.queue[n].size)
		p.queue[n] = nil
		n++
	}
	p.queue = p.queue[n:]
	p.first += uint64(n)
	if len(p.queue) == 0 && p.blocked {
		p.blocked, p.again, p.pause = false, time.Time{}, 0
		p.reporter.report(p.ctx, Event{Kind: KindResumed, Partition: -1})
	}
}

// An ack is the answer of a stream.
type ack struct {
	Stream    string              `json:"stream"`
	Duplicate bool                `json:"duplicate"`
	Error     *jetstream.APIError `json:"error"`
}

// answer handles a message to the inbox.
func (p *pump) answer(m *nats.Msg) {
	number, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 36, 64)
	if err != nil || number < p.first || number >= p.passed() || p.queue[number-p.first].done {
		return // an answer to an earlier attempt
	}
	l := p.queue[number-p.first]
	var a ack
	switch err := json.Unmarshal(m.Data, &a); {
	case len(m.Data) == 0 && m.Header.Get("Status") == "503":
		p.fail(nats.ErrNoResponders)
	case err != nil:
		p.fail(errors.New("malformed answer"))
	case a.Error != nil && a.Error.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		// The stream does not report its limit.
		if p.shorten(l, len(l.msg.Data)/2) {
			p.send(l, number)
		}
	case a.Error != nil:
		p.fail(a.Error)
	case a.Stream == "":
		p.fail(errors.New("malformed answer"))
	default:
		l.done = true
		p.stored.Add(1)
		p.storedBytes.Add(uint64(len(l.msg.Data)))
		if a.Duplicate {
			p.duplicates.Add(1)
		}
		p.forget()
	}
}

var errNoAck = errors.New("no acknowledgement in time")

// fail notes that a line was not stored. No further line is taken until all
// lines in flight are stored. They are published again after a pause, in their
// order; the stream drops the lines that it has stored.
func (p *pump) fail(err error) {
	if p.again.IsZero() {
		p.pause = min(max(2*p.pause, minPause), maxPause)
		p.again = time.Now().Add(p.pause/2 + rand.N(p.pause))
	}
	if !p.blocked {
		p.blocked = true
		p.Shipper.blocked.Add(1)
		p.reporter.report(p.ctx, Event{Kind: KindBlocked, Partition: -1, Err: err})
	}
}

// retry publishes the lines in flight again if it is time.
func (p *pump) retry(now time.Time) {
	switch {
	case len(p.queue) == 0:
	case p.again.IsZero():
		if now.Sub(p.queue[0].sent) > p.c.AckWait {
			p.fail(errNoAck)
		}
	case now.After(p.again):
		p.again = time.Time{}
		for n := p.first; n < p.passed() && p.again.IsZero(); n = max(n+1, p.first) {
			if l := p.queue[n-p.first]; !l.done {
				p.repeated.Add(1)
				p.send(l, n)
			}
		}
	}
}

// save makes the acknowledged places the State.
func (p *pump) save() {
	p.saved = time.Now()
	for range 2 {
		if err := p.state.save(p.passed(), p.first); err != nil {
			if text := err.Error(); text != p.stateErr {
				p.stateErr = text
				p.failed(p.ctx, err)
			}
			return
		}
	}
	p.stateErr = ""
}
