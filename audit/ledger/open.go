package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Recovery says what Open took off the end of a log after a crash.
type Recovery struct {
	Bytes  int64  `json:"bytes"`  // how much
	SHA256 string `json:"sha256"` // of those bytes, in hexadecimal
	Saved  string `json:"saved"`  // name of the file in the directory that has them
}

// Open opens the log in dir, making both where they do not exist (modes 0700 and
// 0600), and reads its last segment; all of it, if Known is given. A tail torn by a
// crash is taken off and saved, see the package documentation and
// [Ledger.Recovered].
//
// Errors: that of [Config.Validate], [ErrLocked], a [*TamperError], [ErrFormat]
// for a log of another origin or version, errors.ErrUnsupported where there is no
// flock, those of the signer and the file system, and ctx.Err() with
// context.Cause(ctx).
func Open(ctx context.Context, dir string, c Config) (*Ledger, error) {
	if err := errors.Join(c.Validate(), done(ctx)); err != nil {
		return nil, err
	}
	if err := c.Sync.makeDir(dir); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l := newLedger(dir, c)
	l.unlock = lock
	if err := l.open(ctx, c); err != nil {
		if l.f != nil {
			_ = l.f.Close()
		}
		_ = lock.Close()
		return nil, err
	}
	l.counters.size.Store(l.at.tree.size)
	l.counters.sealed.Store(l.sealed.Size)
	l.startChores(c)
	return l, nil
}

func newLedger(dir string, c Config) *Ledger {
	l := &Ledger{
		dir: dir, origin: c.origin(), sync: c.Sync, maxSize: c.MaxSize, maxAge: c.MaxAge, retain: c.Retain,
		every: c.CheckpointEvery, signer: c.Signer, anchor: c.Anchor, create: createFile,
	}
	if l.maxSize == 0 {
		l.maxSize = defaultMaxSize
	}
	if l.every == 0 {
		l.every = defaultCheckpointEvery
	}
	return l
}

// open reads what is in the directory, or begins a log, under the lock.
func (l *Ledger) open(ctx context.Context, c Config) error {
	fsys := os.DirFS(l.dir)
	segs, err := segments(fsys)
	if err != nil {
		return err
	}
	// Known says nothing about the last segment alone, so all of them are read.
	if c.Known != nil && len(segs) > 0 {
		if _, err := Verify(ctx, fsys, VerifyConfig{Known: c.Known, Pruned: true}); err != nil {
			return err
		}
	}
	l.segs = segs
	if err := l.resume(ctx, c); err != nil {
		return err
	}
	switch {
	case len(l.segs) == 0 && c.Known != nil && c.Known.Size > 0:
		return &TamperError{Problems: []Problem{{Kind: Truncated, To: c.Known.Size - 1, Segment: segmentName(0)}}}
	case len(l.segs) == 0:
		l.log = rand.Text()
		err = l.begin()
	}
	if err == nil && l.recovered.Saved != "" {
		r := l.recovered
		err = l.service("recovered", fmt.Sprintf(`"bytes":%d,"sha256":"%s","saved":"%s"`, r.Bytes, r.SHA256, r.Saved))
	}
	if err == nil && c.Previous != nil && !l.sealedBy(c.Signer) {
		l.unsealed++ // even if the last record is a checkpoint, of the old key alone
		_, _, err = l.seal(c.Previous, c.Signer)
	}
	return err
}

// resume opens the last segment and reads it. A segment without a whole header,
// which is what a crash during a rotation leaves, is taken away first.
func (l *Ledger) resume(ctx context.Context, c Config) error {
	for len(l.segs) > 0 {
		last := len(l.segs) - 1
		l.path = filepath.Join(l.dir, segmentName(l.segs[last]))
		f, err := openSegment(l.path)
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		l.f = disk{f}
		tail, err := l.scan(ctx, f, c)
		switch {
		case err != nil:
			return err
		case tail == tampered:
			// The scan knows that something is wrong; Verify knows what and where.
			_, err := Verify(ctx, os.DirFS(l.dir), VerifyConfig{Pruned: true})
			return errors.Join(err, errIf(err == nil, fmt.Errorf("ledger: log does not hang together: %w", ErrTampered)))
		case tail == clean && l.at.off > 0:
			return nil
		}
		if err := l.cutTail(f); err != nil {
			return fmt.Errorf("ledger: recover: %w", err)
		}
		if l.at.off > 0 {
			return nil
		}
		if err := errors.Join(f.Close(), os.Remove(l.path), l.sync.dir(l.dir)); err != nil {
			return fmt.Errorf("ledger: recover: %w", err)
		}
		l.f, l.segs = nil, l.segs[:last]
	}
	return nil
}

// errIf is err where cond holds.
func errIf(cond bool, err error) error {
	if cond {
		return err
	}
	return nil
}

// Recovered returns what Open took off the end of the log, and whether it did.
func (l *Ledger) Recovered() (Recovery, bool) { return l.recovered, l.recovered.Saved != "" }

// sealedBy reports whether the last checkpoint bears the signature of s.
func (l *Ledger) sealedBy(s *Signer) bool {
	_, signed, err := openCheckpoint(l.sealed.Note, []*Verifier{s.v})
	return err == nil && signed != 0
}

// What a scan finds after the last good record.
type tailState int

const (
	clean    tailState = iota // nothing
	torn                      // what a crash leaves: half a line, or a lost page
	tampered                  // anything else
)

// scan reads the last segment up to its end or first fault and sets l.at.
func (l *Ledger) scan(ctx context.Context, r io.Reader, c Config) (tailState, error) {
	l.at = position{}
	lr := newLineReader(r)
	var p objectParser
	for {
		line, whole, err := lr.read()
		if errors.Is(err, io.EOF) {
			return clean, nil
		}
		if err == nil && lr.no%1024 == 0 {
			err = done(ctx)
		}
		if err != nil {
			return clean, fmt.Errorf("ledger: read: %w", err)
		}
		if !whole || bytes.IndexByte(line, 0) >= 0 {
			return l.tornOrWorse(lr, c)
		}
		seq, prev, ok := p.parseLine(line)
		if ok && lr.no == 1 {
			if err := l.adopt(line, seq, prev, c); err != nil {
				return clean, err
			}
		}
		if !ok || seq != l.at.tree.size || prev != l.at.prev || !l.takeSeal(line, c) {
			return tampered, nil
		}
		l.at.add(line)
		l.unsealed++
		if isService(line, "checkpoint") {
			l.unsealed = 0
		}
	}
}

// adopt takes the state of the log from the header of its last segment.
func (l *Ledger) adopt(line []byte, seq uint64, prev Hash, c Config) error {
	h, ok := parseHeader(line)
	t, fits := newTree(seq, h.Range)
	switch {
	case !ok:
		return formatError("first line is not the header of a version 1 log")
	case (c.Origin != "" || c.Signer != nil) && l.origin != h.Origin:
		return formatError(fmt.Sprintf("log of origin %.64q, not %.64q", h.Origin, l.origin))
	case !fits || seq != l.segs[len(l.segs)-1] || !isOrigin(h.Origin) || !isOrigin(h.Log):
		return fmt.Errorf("ledger: header of %s does not fit: %w", segmentName(l.segs[len(l.segs)-1]), ErrTampered)
	}
	l.origin, l.log, l.born = h.Origin, h.Log, h.Time
	l.at = position{tree: t}
	if seq > 0 {
		l.at.prev = prev
	}
	l.unsealed = 0
	return nil
}

// keysOf are the public keys that a configuration knows.
func keysOf(c Config) []*Verifier {
	var keys []*Verifier
	for _, s := range [...]*Signer{c.Signer, c.Previous} {
		if s != nil {
			keys = append(keys, s.v)
		}
	}
	return keys
}

// takeSeal checks a line that is a checkpoint against what stands before it.
func (l *Ledger) takeSeal(line []byte, c Config) bool {
	if !isService(line, "checkpoint") {
		return true
	}
	cp, _, err := openCheckpoint(noteOf(line), keysOf(c))
	if err != nil || cp.Head != l.at.tree.head() {
		return false
	}
	l.sealed = cp
	return true
}

// tornOrWorse tells a torn tail from tampering. A checkpoint is signed only over
// records that are durable, so no crash leaves a hole in front of one.
func (l *Ledger) tornOrWorse(lr *lineReader, c Config) (tailState, error) {
	for {
		line, whole, err := lr.read()
		switch {
		case errors.Is(err, io.EOF):
			return torn, nil
		case err != nil:
			return clean, fmt.Errorf("ledger: read: %w", err)
		}
		if _, _, ok := parseLine(line); !ok || !whole || !isService(line, "checkpoint") {
			continue
		}
		if _, signed, err := openCheckpoint(noteOf(line), keysOf(c)); err == nil && signed != 0 {
			return tampered, nil
		}
	}
}

// cutTail saves everything after the last good record and takes it off. The
// saved file is named after its place and content, so that a crash in here and a
// second recovery write the same file again.
func (l *Ledger) cutTail(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	size := st.Size() - l.at.off
	if size == 0 {
		return nil // an empty segment
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, l.at.off, size)); err != nil {
		return err
	}
	digest := fmt.Sprintf("%x", sum.Sum(nil))
	segment := strings.TrimSuffix(filepath.Base(l.path), ".jsonl")
	name := fmt.Sprintf("torn-%s-%d-%s", strings.TrimLeft(segment[:len(segment)-1], "0")+segment[len(segment)-1:], l.at.off, digest[:16])
	if err := l.save(filepath.Join(l.dir, name), io.NewSectionReader(f, l.at.off, size)); err != nil {
		return err
	}
	l.recovered = Recovery{Bytes: size, SHA256: digest, Saved: name}
	return errors.Join(l.sync.dir(l.dir), f.Truncate(l.at.off), l.sync.file(disk{f}))
}

// save writes what is taken off to a file of its own, durably, before it is.
func (l *Ledger) save(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, l.sync.file(disk{f}), f.Close())
}

// openSegment opens a segment without following a symbolic link.
func openSegment(path string) (*os.File, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, formatError("segment is not a regular file")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(named, opened) {
		return nil, errors.Join(formatError("segment replaced while it was opened"), err, f.Close())
	}
	return f, nil
}

// makeDir makes dir and its missing parents, and syncs each parent that got a new
// entry: a durable file in a directory that is lost is lost too.
func (s SyncPolicy) makeDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.makeDir(filepath.Dir(dir)); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
	}
	switch {
	case err == nil:
		return s.dir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		return nil // if it is no directory, the lock file will say so
	}
	return err
}

// dir makes the entries of a directory durable.
func (s SyncPolicy) dir(path string) error {
	if s == SyncNever {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// file makes what was written durable.
func (s SyncPolicy) file(f file) error {
	if s == SyncNever {
		return nil
	}
	return f.Sync()
}
