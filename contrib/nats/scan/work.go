package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/retry"
)

const (
	pull   = 2 * time.Second        // the longest time of a request for a task
	absent = 250 * time.Millisecond // between looks for a scan that has not begun
)

// Work runs tasks of the scan, a task at a time, until the scan is over or ctx
// is done. If the scan has not begun, it waits. To serve the next scan of the
// same name, call Work again.
//
// A failed attempt is repeated on any worker, after a pause that grows, up to
// MaxAttempts times. Errors that match [logscan.ErrUnsupported] or
// [logscan.ErrLimit], and errors for which [retry.Retryable] reports false, are
// not repeated. A task whose worker stops, crashes or is silent for AckWait is
// given to another. If ctx ends, Work gives its task back.
//
// A panic or [runtime.Goexit] in Open, in the parser or in the accumulator
// passes through Work, which gives its task to the others first. An input that
// crashes every process fails permanently after MaxAttempts.
//
// Errors: nil after the end of the scan. [ErrVersion], the error of
// [Job.Validate], of ctx, and of the servers, after 2 minutes of failed
// requests. Errors of tasks are returned by Run.
func (j Job[A]) Work(ctx context.Context, js jetstream.JetStream) error {
	j, err := j.withDefaults()
	if err != nil {
		return err
	}
	w := &worker[A]{Job: j, store: newStore(js, j.Name, func(ctx context.Context, err error) {
		j.emit(ctx, Event{Kind: KindUnavailable, Err: err})
	})}
	for seen := false; ; {
		served, err := w.serve(ctx)
		seen = seen || served
		switch {
		case ctx.Err() != nil:
			return ctxerr.New(ctx, "scan: "+j.Name)
		case seen && errors.Is(err, jetstream.ErrStreamNotFound):
			return nil
		case err != nil && !isAbsent(err):
			return j.errorf("%w", err)
		}
		sleep(ctx, absent)
	}
}

// isAbsent reports whether err is the error of a scan that has not begun.
func isAbsent(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrMsgNotFound) ||
		errors.Is(err, jetstream.ErrConsumerNotFound)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A worker is a call of Work.
type worker[A Accumulator[A]] struct {
	Job[A]
	store *store
	wait  time.Duration // AckWait of the consumer
}

// serve runs tasks until a request for a task fails. It reports whether there
// is a scan.
func (w *worker[A]) serve(ctx context.Context) (served bool, err error) {
	consumer, err := w.store.open(ctx)
	if err != nil {
		return false, err
	}
	sp, err := w.store.spec(ctx)
	if err != nil {
		return false, err
	}
	if err := checkProgram(sp.program, w.Program); err != nil {
		return false, err
	}
	w.wait = consumer.CachedInfo().Config.AckWait
	for ctx.Err() == nil {
		msg, err := next(ctx, consumer)
		if err == nil && msg != nil {
			err = w.handle(ctx, msg)
		} else if err != nil && transient(err) {
			return true, nil // opening it again finds out the cause
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// next returns a task, or nil if there is none for a while.
func next(ctx context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, pull)
	defer cancel()
	batch, err := consumer.Fetch(1, jetstream.FetchContext(ctx))
	if err != nil {
		return nil, err
	}
	for msg := range batch.Messages() {
		return msg, nil
	}
	if err := batch.Error(); ctx.Err() == nil {
		return nil, err
	}
	return nil, nil
}

// handle runs a task and answers it, or gives it back.
func (w *worker[A]) handle(ctx context.Context, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	t, err := decodeTask(msg.Data())
	switch {
	case err == errForm: // foreign; Run queues its task again
		return msg.Term()
	case err == nil:
		err = checkProgram(t.program, w.Program)
	}
	if err != nil {
		_ = msg.Nak()
		return err
	}
	settled := false
	stop := w.beat(msg)
	defer func() {
		stop()
		if !settled { // a panic, the end of ctx, or no answer
			_ = msg.Nak()
			_ = w.store.js.Conn().FlushTimeout(time.Second)
		}
	}()
	attempt := int(meta.NumDelivered)
	a := answer{task: t.digest(), attempts: uint64(attempt)}
	if attempt > w.MaxAttempts {
		a.attempts = uint64(w.MaxAttempts)
		a.failure = "no attempt ended; the workers were killed or crashed"
	} else {
		a.form, err = w.attempt(ctx, &t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err != nil {
		if retryable(err) && attempt < w.MaxAttempts {
			settled = msg.NakWithDelay(time.Duration(attempt)*w.wait/10) == nil
			w.emit(ctx, Event{Kind: KindAttempt, Input: t.name, Offset: t.offset, Err: err})
			return nil
		}
		a.failure = textOf(err)
	}
	if err := w.answer(ctx, &t, &a); err != nil {
		return err
	}
	settled = true
	return msg.Ack()
}

// answer stores an answer, unless there is an answer, and wakes the
// coordinator.
func (w *worker[A]) answer(ctx context.Context, t *task, a *answer) error {
	_, _, err := w.store.put(ctx, w.store.doneSubject(t.scan, fmt.Sprint(t.num)), a.marshal(), 0)
	if err != nil && !isConflict(err) {
		return err
	}
	return w.store.js.Conn().Publish(w.store.noteSubject(), binary.AppendUvarint(nil, t.num))
}

// beat sends signs of life until stop is called.
func (w *worker[A]) beat(msg jetstream.Msg) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(max(w.wait/3, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = msg.InProgress() // the next may arrive
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
	}
}

// attempt scans a task. With an InputError it also returns the form of the
// records before the error.
func (w *worker[A]) attempt(ctx context.Context, t *task) (form []byte, failure error) {
	in := logscan.Input{
		Name: t.name, Offset: t.offset, Within: t.within, End: t.end, ModTime: t.modTime,
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			rc, err := w.Open(ctx, t.name)
			if err != nil {
				return nil, err
			}
			return clip(rc, t.size)
		},
	}
	only := func(yield func(logscan.Input, error) bool) { yield(in, nil) }
	total, failure := logscan.Reduce(ctx, w.Scanner, only, w.New)
	if _, ok := errtree.Find[*logscan.InputError](failure); failure != nil && !ok {
		return nil, failure
	}
	form, err := total.MarshalBinary()
	if err == nil {
		err = checkForm(form)
	}
	if err != nil {
		return nil, retry.Permanent(err)
	}
	return form, failure
}
