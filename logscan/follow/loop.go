package follow

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

// A loop is one loop over the records of a Follower or a Dir. It follows its
// trails in turn, in the goroutine of the caller. ctx lives as long.
type loop struct {
	Follower
	ctx     context.Context
	packer  packer
	trails  []*trail
	dir     *dirLoop // nil for a Follower
	buf     []byte   // of the burst that is delivered
	scratch []byte
	yield   func(logscan.Input, error) bool
	stopped bool

	burst  *burst // being delivered
	opened int64  // all files that are open
	lag    int64  // as it was counted last
	hand   int    // the trail at which limit looks next
}

func newLoop(ctx context.Context, f Follower) *loop {
	f = f.withDefaults()
	limit := f.Scanner.MaxDecoded
	if limit == 0 {
		limit = 64 << 30
	}
	return &loop{
		Follower: f, ctx: ctx, packer: packer{f.Scanner.Decoders, limit},
		buf: make([]byte, tailSize+chunk), scratch: make([]byte, chunk),
	}
}

// records yields the records of all trails.
func (l *loop) records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		defer l.close()
		for rec, err := range l.Scanner.Records(l.ctx, l.inputs) {
			if err != nil {
				if !yield(Record{}, err) {
					return
				}
				continue
			}
			b := l.burst
			if at := rec.Time(); !l.Since.IsZero() && !at.IsZero() && at.Before(l.Since) {
				continue
			}
			rec.Num += b.before
			ok := yield(Record{rec, b}, nil)
			rec.Num -= b.before
			if !ok {
				return
			}
			if l.dir != nil {
				l.dir.handled(b, rec.Next)
			}
		}
	}
}

func (l *loop) close() {
	if l.dir != nil {
		l.dir.save(true)
	}
	for _, t := range l.trails {
		t.close()
	}
	l.count(func(s *Stats) { s.LagBytes -= l.lag })
	l.lag = 0
}

// close closes the files of t.
func (t *trail) close() {
	for _, g := range t.queue {
		t.l.release(g)
	}
	for _, g := range t.late {
		t.l.release(g)
	}
	t.queue, t.late, t.cur = nil, nil, nil
	t.l.count(func(s *Stats) { s.Paths-- })
}

// node returns the numbers of a file.
func (l *loop) node(info fs.FileInfo) node {
	dev, ino := l.fsys.ID(info)
	return node{dev, ino}
}

func (l *loop) add(t *trail) {
	t.l = l
	l.trails = append(l.trails, t)
	l.count(func(s *Stats) { s.Paths++ })
}

// inputs yields the bursts of the trails until ctx is done.
func (l *loop) inputs(yield func(logscan.Input, error) bool) {
	l.yield = yield
	defer func() {
		if err := l.ctx.Err(); err != nil && !l.stopped {
			yield(logscan.Input{}, err) // the scan ends with the error of ctx
		}
	}()
	for l.ctx.Err() == nil && !l.stopped {
		if l.dir != nil {
			l.dir.discover()
		}
		busy := l.round(time.Now())
		if l.stopped {
			return
		}
		l.measure()
		if l.dir != nil {
			l.dir.save(false)
		}
		if busy {
			continue
		}
		if l.StopAtEOF && l.ended() {
			return
		}
		if l.onPause != nil {
			l.onPause()
		}
		if woken, err := l.wait(l.Poll); err != nil {
			return
		} else if woken {
			for _, t := range l.trails {
				t.due = time.Time{}
			}
		}
	}
}

// round visits each trail once.
func (l *loop) round(now time.Time) (busy bool) {
	for i := 0; i < len(l.trails) && !l.stopped; i++ {
		t := l.trails[i]
		if now.Before(t.due) {
			continue
		}
		if l.ctx.Err() != nil {
			return false
		}
		if t.visit() {
			busy = true
			continue
		}
		if l.dir != nil && t.rests() && now.Sub(t.resting) > restAfter {
			t.due = now.Add(restFactor*l.Poll - l.Poll/2)
		}
	}
	return busy
}

// A file of a Dir in which nothing was written for restAfter is looked at every
// restFactor polls.
const (
	restAfter  = 10 * time.Second
	restFactor = 4
)

// ended reports whether everything complete was delivered.
func (l *loop) ended() bool {
	for _, t := range l.trails {
		if t.failing == "" && (!t.begun || len(t.queue) > 1 || len(t.queue) == 1 && t.queue[0] != t.cur) {
			return false
		}
	}
	return true
}

func (l *loop) measure() {
	if l.Stats == nil {
		return
	}
	lag := int64(0)
	for _, t := range l.trails {
		lag += int64(t.lag())
	}
	l.count(func(s *Stats) { s.LagBytes += lag - l.lag })
	l.lag = lag
}

// report yields an error of path.
func (l *loop) report(path string, err error) {
	if !l.stopped && !l.yield(logscan.Input{Name: path}, err) {
		l.stopped = true
	}
}

// deliver yields a burst.
func (l *loop) deliver(b *burst) {
	l.burst = b
	open := func(context.Context) (io.ReadCloser, error) { return b, nil }
	if !l.yield(logscan.Input{Name: b.t.path, Offset: b.start, Open: open}, nil) {
		l.stopped = true
		return
	}
	if l.dir != nil {
		l.dir.handled(b, b.g.pos)
	}
	l.burst = nil
}

func (l *loop) event(e Event) {
	if l.OnEvent != nil {
		l.OnEvent(l.ctx, e)
	}
}

func (l *loop) count(f func(*Stats)) {
	if l.Stats != nil {
		l.Stats.change(f)
	}
}

// wait waits for d or for Wake.
func (l *loop) wait(d time.Duration) (woken bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.Wake:
		woken = true
	case <-l.ctx.Done():
	}
	return woken, l.ctx.Err()
}

// held counts a file that was opened. If too many are open, it closes a file at
// rest.
func (l *loop) held(keep *generation) {
	l.opened++
	l.count(func(s *Stats) { s.Open++ })
	if l.dir == nil {
		return
	}
	for tries := 0; l.opened > int64(l.dir.MaxOpen) && tries < min(len(l.trails), 1000); tries++ {
		l.hand = (l.hand + 1) % len(l.trails)
		t := l.trails[l.hand]
		if g := t.cur; g != nil && g.file != nil && g.pos > 0 && g.pos == g.size && g != keep && (l.burst == nil || l.burst.g != g) &&
			len(t.queue) == 1 && t.queue[0] == g {
			l.release(g)
		}
	}
}

// release closes the file of g.
func (l *loop) release(g *generation) {
	if g.file != nil {
		g.close()
		l.opened--
		l.count(func(s *Stats) { s.Open-- })
	}
}
