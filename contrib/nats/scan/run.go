package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/retry"
)

// Run divides the inputs into tasks for the workers of this Job, which call
// [Job.Work], and merges their results in the order of the inputs. The answer
// is the same, byte by byte, for any number of workers and any failures. It is
// the answer of [logscan.Reduce] if merging gives the same result as adding, or
// if Scanner.Chunk and Task are equal.
//
// If Run ends early, or with its process, the next Run for the same scan
// continues from the last checkpoint. It needs the same inputs, in the same
// order, of the same sizes. When Run has merged all results, it deletes the
// stream. It waits for workers as long as there are none. To abandon a scan,
// delete its stream.
//
// Errors: a task that fails permanently does not end the scan. Run returns a
// [*TaskError] for each of the first 100 of them, joined, with the result of
// all that could be read. The error of [Job.Validate], of ctx, of Merge and of
// the servers, [ErrVersion], [ErrChanged] and [ErrReplaced] end Run, with an
// accumulator that is not complete. A failed request is repeated for up to 2
// minutes.
func (j Job[A]) Run(ctx context.Context, js jetstream.JetStream, in logscan.Inputs) (A, error) {
	var none A
	j, err := j.withDefaults()
	if err != nil {
		return none, err
	}
	r := &run[A]{Job: j, total: j.New()}
	r.store = newStore(js, j.Name, func(ctx context.Context, err error) {
		j.emit(ctx, Event{Kind: KindUnavailable, Merged: int(r.state.merged), Listed: int(r.listed), Bytes: r.state.bytes, Err: err})
	})
	defer func() {
		if r.stop != nil {
			r.stop()
		}
	}()
	if err := r.begin(ctx, in); err != nil {
		return r.total, r.wrap(ctx, err)
	}
	notes := make(chan *nats.Msg, 1024)
	sub, err := js.Conn().ChanSubscribe(r.store.noteSubject(), notes)
	if err != nil {
		return r.total, r.wrap(ctx, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := r.merge(ctx, notes); err != nil {
		return r.total, r.wrap(ctx, err)
	}
	if err := r.save(ctx); err != nil { // fails if another Run has begun
		return r.total, r.wrap(ctx, err)
	}
	if err := r.store.remove(ctx); err != nil {
		return r.total, r.wrap(ctx, err)
	}
	return r.total, r.failures()
}

// A run is a call of Run.
type run[A Accumulator[A]] struct {
	Job[A]
	store *store
	state state
	total A
	began time.Time

	next    func() (task, bool) // the tasks of the inputs
	stop    func()
	window  []task          // listed and not merged
	listed  uint64          // number of the next task of next
	ended   bool            // there is no further task
	known   map[string]bool // subjects in the stream when Run began
	last    uint64          // sequence number of the checkpoint
	saved   uint64          // number of the first task that the checkpoint does not contain
	savedAt time.Time
}

// wrap adds the name of the scan to an error.
func (r *run[A]) wrap(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctxerr.New(ctx, "scan: "+r.Name)
	}
	return r.errorf("%w", err)
}

// failures returns the errors of the tasks that failed permanently.
func (r *run[A]) failures() error {
	var errs []error
	for i := range r.state.failed {
		errs = append(errs, &r.state.failed[i])
	}
	if r.state.lost > 0 {
		errs = append(errs, r.errorf("%d further tasks failed", r.state.lost))
	}
	return errors.Join(errs...)
}

// begin begins or continues the scan.
func (r *run[A]) begin(ctx context.Context, in logscan.Inputs) error {
	if err := r.store.create(ctx, r.Replicas); err != nil {
		return err
	}
	sp, err := r.store.begin(ctx, spec{scan: newID(), program: r.Program, began: time.Now().UTC()})
	if err == nil {
		err = checkProgram(sp.program, r.Program)
	}
	if err != nil {
		return err
	}
	r.state.scan, r.began = sp.scan, sp.began
	data, last, err := r.store.get(ctx, r.store.stateSubject(sp.scan))
	if err == nil {
		r.state, err = decodeState(data)
	}
	if err == nil && len(r.state.form) > 0 {
		err = r.total.UnmarshalBinary(r.state.form)
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return err
	}
	r.last, r.saved = last, r.state.merged
	r.state.owner = newID()
	r.next, r.stop = iter.Pull(r.divide(ctx, in))
	if err := r.skip(ctx); err != nil {
		return err
	}
	if err := r.save(ctx); err != nil { // from now on, an earlier Run fails
		return err
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	if last > 0 {
		r.emit(ctx, Event{Kind: KindResumed, Merged: int(r.state.merged), Listed: int(r.listed), Bytes: r.state.bytes})
	}
	return r.store.serve(ctx, r.Ahead, r.AckWait)
}

// look finds the tasks that are queued or answered, and removes answers that
// were merged.
func (r *run[A]) look(ctx context.Context) error {
	subjects, err := r.store.subjects(ctx, r.store.prefix+"*."+r.state.scan.String()+".>")
	r.known = map[string]bool{}
	for subject := range subjects {
		subject = strings.TrimSuffix(subject, ".head")
		r.known[subject] = true
		text, done := strings.CutPrefix(subject, r.store.doneSubject(r.state.scan, ""))
		text, _, _ = strings.Cut(text, ".")
		if num, e := strconv.ParseUint(text, 10, 64); e == nil && done && num < r.state.merged && err == nil {
			err = r.store.drop(ctx, r.store.doneSubject(r.state.scan, text))
		}
	}
	return err
}

// skip passes over the tasks that were merged, which must be the same as
// before.
func (r *run[A]) skip(ctx context.Context) error {
	var chain digest
	for r.listed < r.state.merged {
		t, ok := r.list()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !ok {
			return fmt.Errorf("%w: there are %d tasks, and %d were merged", ErrChanged, r.listed, r.state.merged)
		}
		chain = chain.link(&t)
	}
	if chain != r.state.chain {
		return fmt.Errorf("%w: the first %d tasks are not those that were merged", ErrChanged, r.state.merged)
	}
	return nil
}

// list returns the next task of the inputs.
func (r *run[A]) list() (t task, ok bool) {
	if t, ok = r.next(); !ok {
		r.ended = true
		return t, false
	}
	t.scan, t.program, t.num = r.state.scan, r.Program, r.listed
	if t.modTime.IsZero() { // every attempt finds the same years in times
		t.modTime = r.began
	}
	t.modTime = t.modTime.Round(0).UTC()
	r.listed++
	return t, true
}

// merge queues tasks and merges their answers until there are no more.
func (r *run[A]) merge(ctx context.Context, notes <-chan *nats.Msg) error {
	tick := time.NewTicker(patrol)
	defer tick.Stop()
	since := time.Now() // of the first task of the window being first
	for {
		if err := r.fill(ctx); err != nil || len(r.window) == 0 {
			return err
		}
		ok, err := r.mergeNext(ctx)
		switch {
		case err != nil:
			return err
		case ok:
			since = time.Now()
			if err := r.saveSometimes(ctx); err != nil {
				return err
			}
			continue
		case time.Since(since) > r.AckWait: // the servers may have lost it
			since = time.Now()
			if err := r.queue(ctx, &r.window[0]); err != nil {
				return err
			}
		}
		if err := r.wait(ctx, notes, tick.C); err != nil {
			return err
		}
	}
}

// wait waits until the first task of the window may have an answer.
func (r *run[A]) wait(ctx context.Context, notes <-chan *nats.Msg, tick <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick:
			return nil
		case msg := <-notes:
			num, n := binary.Uvarint(msg.Data)
			switch {
			case n <= 0:
			case num == r.state.merged:
				return nil
			case num < r.saved: // a late answer
				if err := r.store.drop(ctx, r.store.doneSubject(r.state.scan, fmt.Sprint(num))); err != nil {
					return err
				}
			}
		}
	}
}

// fill lists and queues tasks up to the bound.
func (r *run[A]) fill(ctx context.Context) error {
	for !r.ended && len(r.window) < r.Ahead {
		t, ok := r.list()
		if err := ctx.Err(); err != nil || !ok {
			return err
		}
		num := fmt.Sprint(t.num)
		if t.failure == "" && !r.known[r.store.taskSubject(t.scan, num)] && !r.known[r.store.doneSubject(t.scan, num)] {
			if err := r.queue(ctx, &t); err != nil {
				return err
			}
		}
		r.window = append(r.window, t)
	}
	return nil
}

// queue stores a task for the workers, unless it is stored.
func (r *run[A]) queue(ctx context.Context, t *task) error {
	if t.failure != "" {
		return nil
	}
	subject := r.store.taskSubject(t.scan, fmt.Sprint(t.num))
	_, err := r.store.publish(ctx, subject, t.marshal(), jetstream.WithExpectLastSequencePerSubject(0))
	if isConflict(err) {
		return nil
	}
	return err
}

// mergeNext merges the answer of the first task of the window. It reports false
// if there is none.
func (r *run[A]) mergeNext(ctx context.Context) (bool, error) {
	t := &r.window[0]
	a := answer{failure: t.failure}
	if t.failure == "" {
		subject := r.store.doneSubject(t.scan, fmt.Sprint(t.num))
		data, _, err := r.store.get(ctx, subject)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return false, nil
		case err == errTorn: // the servers have lost a part
			return false, r.store.drop(ctx, subject)
		}
		if err == nil {
			a, err = decodeAnswer(data)
		}
		if err == nil && a.task != t.digest() {
			err = fmt.Errorf("%w: the task of %s was queued with other values", ErrChanged, t.place())
		}
		if err != nil {
			return false, err
		}
	}
	if len(a.form) > 0 {
		part := r.New()
		if err := part.UnmarshalBinary(a.form); err != nil {
			return false, fmt.Errorf("result of %s: %w", t.place(), err)
		}
		if err := r.total.Merge(part); err != nil {
			return false, fmt.Errorf("merge %s: %w", t.place(), err)
		}
	}
	e := Event{Kind: KindMerged, Input: t.name, Offset: t.offset}
	if a.failure != "" {
		e.Kind, e.Err = KindFailed, r.failed(t, &a)
	}
	r.state.merged++
	r.state.bytes += t.bytes()
	r.state.chain = r.state.chain.link(t)
	r.window = r.window[1:]
	e.Merged, e.Listed, e.Bytes = int(r.state.merged), int(r.listed), r.state.bytes
	r.emit(ctx, e)
	return true, nil
}

// failed keeps the error of a task that failed permanently.
func (r *run[A]) failed(t *task, a *answer) error {
	e := TaskError{Name: t.name, Offset: t.offset, End: t.end, Attempts: int(a.attempts), Text: a.failure}
	if len(r.state.failed) < maxFailed {
		r.state.failed = append(r.state.failed, e)
	} else {
		r.state.lost++
	}
	return &e
}

// saveEvery is the longest time between a merge and its checkpoint.
const saveEvery = 5 * time.Second

// saveSometimes saves a checkpoint if there is much to repeat without it, or to
// remove after it.
func (r *run[A]) saveSometimes(ctx context.Context) error {
	if n := r.state.merged - r.saved; n < uint64(max(r.Ahead/8, 1)) && time.Since(r.savedAt) < saveEvery {
		return nil
	}
	return r.save(ctx)
}

// save stores a checkpoint, and then removes the answers that it contains.
func (r *run[A]) save(ctx context.Context) error {
	form, err := r.total.MarshalBinary()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := checkForm(form); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	r.state.form = form
	first, head, err := r.store.put(ctx, r.store.stateSubject(r.state.scan), r.state.marshal(), r.last)
	if isConflict(err) {
		first = 0
		head, err = r.stored(ctx)
	}
	if err != nil {
		return err
	}
	r.state.form = nil
	if first > 1 { // the parts of earlier checkpoints
		if err := r.store.purge(ctx, r.store.stateSubject(r.state.scan)+".>", jetstream.WithPurgeSequence(first)); err != nil {
			return err
		}
	}
	for ; r.saved < r.state.merged; r.saved++ {
		if err := r.store.drop(ctx, r.store.doneSubject(r.state.scan, fmt.Sprint(r.saved))); err != nil {
			return err
		}
	}
	r.last, r.savedAt = head, time.Now()
	return nil
}

// stored finds out whether a checkpoint that another message has replaced, or
// that was stored without an acknowledgement, is the last.
func (r *run[A]) stored(ctx context.Context) (head uint64, err error) {
	data, head, err := r.store.get(ctx, r.store.stateSubject(r.state.scan))
	if err != nil {
		return 0, err
	}
	s, err := decodeState(data)
	if err == nil && (s.owner != r.state.owner || s.merged != r.state.merged) {
		err = ErrReplaced
	}
	return head, err
}

// place describes a task in errors.
func (t *task) place() string {
	e := TaskError{Name: t.name, Offset: t.offset, End: t.end}
	return e.place()
}

// retryable reports whether another attempt at a task may succeed.
func retryable(err error) bool {
	if errors.Is(err, logscan.ErrUnsupported) || errors.Is(err, logscan.ErrLimit) {
		return false
	}
	return retry.Retryable(err)
}

// checkForm refuses a form that is too large.
func checkForm(form []byte) error {
	if len(form) > maxForm {
		return fmt.Errorf("the accumulator has %d bytes in its binary form, at most %d are allowed", len(form), maxForm)
	}
	return nil
}
