package ledger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Open opens the log in dir. It creates the directory and the log if they do
// not exist, with the modes 0700 and 0600. It reads the last segment or, with
// Known, the whole log. It saves and removes a tail that a crash has torn, see
// [Ledger.Recovered].
//
// Errors:
//
//   - the error of [Config.Validate];
//   - [ErrLocked];
//   - a [*TamperError];
//   - [ErrFormat] for a log with another origin or version;
//   - errors.ErrUnsupported on systems without flock;
//   - the errors of the signer and the file system;
//   - ctx.Err() and context.Cause(ctx) if ctx is done.
func Open(ctx context.Context, dir string, c Config) (*Ledger, error) {
	if err := errors.Join(c.Validate(), done(ctx, "open")); err != nil {
		return nil, err
	}
	if err := c.Sync.makeDir(dir); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	l := &Ledger{dir: dir, config: c, create: createFile, unlock: lock}
	l.config.Origin = c.origin()
	l.config.MaxSize = cmp.Or(c.MaxSize, defaultMaxSize)
	l.config.CheckpointEvery = cmp.Or(c.CheckpointEvery, defaultCheckpointEvery)
	l.config.CheckpointDelay = cmp.Or(c.CheckpointDelay, defaultCheckpointDelay)
	if err := l.open(ctx, c); err != nil {
		if l.f != nil {
			_ = l.f.Close()
		}
		_ = lock.Close()
		return nil, err
	}
	l.config.Name = cmp.Or(c.Name, l.config.Origin)
	l.counters.size.Store(l.at.tree.size)
	l.counters.sealed.Store(l.sealed.Size)
	var background context.Context
	background, l.endChores = context.WithCancel(context.Background())
	l.sealLater = func() {
		l.mu.Lock()
		cp, fresh, _ := l.seal() // the next checkpoint covers its records, and Close reports its error
		l.mu.Unlock()
		_ = l.anchored(background, cp, fresh)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remind()
	return l, nil
}

// open reads the directory or creates a log in it.
func (l *Ledger) open(ctx context.Context, c Config) error {
	fsys := os.DirFS(l.dir)
	segs, err := segments(fsys)
	if err != nil {
		return err
	}
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
		return &TamperError{Problems: []Problem{{Kind: KindTruncated, To: c.Known.Size - 1, Segment: segmentName(0)}}}
	case len(l.segs) == 0:
		l.log = rand.Text()
		err = l.begin()
	}
	if err == nil && l.recovered.Saved != "" {
		r := l.recovered
		err = l.service("recovered", fmt.Sprintf(`"bytes":%d,"sha256":"%s","saved":"%s"`, r.Bytes, r.SHA256, r.Saved))
	}
	if err == nil && c.Previous != nil && !l.sealedBy(c.Signer) {
		_, _, err = l.sealBy(c.Previous, c.Signer)
	}
	return err
}

// resume opens and reads the last segment. It first removes segments without a
// complete header, which a crash during a rotation leaves.
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
			// The scan does not know the kind of the problem. Verify does.
			if _, err := Verify(ctx, os.DirFS(l.dir), VerifyConfig{Pruned: true}); err != nil {
				return err
			}
			return tamperError("log is inconsistent")
		case tail == clean && l.at.off > 0:
			return nil
		}
		if err := l.cutTail(f); err != nil {
			return fmt.Errorf("ledger: recover: %w", err)
		}
		if l.at.off > 0 {
			return nil
		}
		if err := errors.Join(f.Close(), os.Remove(l.path), l.config.Sync.dir(l.dir)); err != nil {
			return fmt.Errorf("ledger: recover: %w", err)
		}
		l.f, l.segs = nil, l.segs[:last]
	}
	return nil
}

// sealedBy reports whether s signed the last checkpoint.
func (l *Ledger) sealedBy(s *Signer) bool {
	_, signed, err := openCheckpoint(l.sealed.Note, []*Verifier{s.v})
	return err == nil && signed != 0
}

// scan reads the last segment to its end or its first fault, and sets l.at.
func (l *Ledger) scan(ctx context.Context, r io.Reader, c Config) (tailState, error) {
	l.at = position{}
	lr := newLineReader(r)
	var p objectParser
	for {
		line, whole, err := lr.read()
		if errors.Is(err, io.EOF) {
			return clean, nil
		}
		if err != nil {
			return clean, fmt.Errorf("ledger: read: %w", err)
		}
		if lr.no%1024 == 0 {
			if err := done(ctx, "read"); err != nil {
				return clean, err
			}
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
	case (c.Origin != "" || c.Signer != nil) && l.config.Origin != h.Origin:
		return formatError("log has the origin %s, want %s", quote.Text(h.Origin), quote.Text(l.config.Origin))
	case !fits || seq != l.segs[len(l.segs)-1] || !isOrigin(h.Origin) || !isOrigin(h.Log):
		return tamperError("header of %s does not fit", segmentName(l.segs[len(l.segs)-1]))
	}
	l.config.Origin, l.log, l.born = h.Origin, h.Log, h.Time
	l.at = position{tree: t}
	if seq > 0 {
		l.at.prev = prev
	}
	l.unsealed = 0
	return nil
}

// takeSeal reports whether the line is no checkpoint or a checkpoint that fits
// the lines before it.
func (l *Ledger) takeSeal(line []byte, c Config) bool {
	if !isService(line, "checkpoint") {
		return true
	}
	cp, _, err := openCheckpoint(noteOf(line), c.keys())
	if err != nil || cp.Head != l.at.tree.head() {
		return false
	}
	l.sealed = cp
	return true
}

// openSegment opens a segment without following a symbolic link.
func openSegment(path string) (*os.File, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, &fault{"segment is not a regular file", ErrFormat}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(named, opened) {
		return nil, errors.Join(&fault{"segment was replaced", ErrFormat}, err, f.Close())
	}
	return f, nil
}

// A Recovery describes the bytes that Open removed from the end of a log after
// a crash.
type Recovery struct {
	Bytes  int64  `json:"bytes"`  // number of bytes
	SHA256 string `json:"sha256"` // their SHA-256 in hexadecimal
	Saved  string `json:"saved"`  // name of the file in the directory that contains them
}

// Recovered returns the bytes that Open removed from the end of the log, and
// reports whether Open removed any.
func (l *Ledger) Recovered() (Recovery, bool) { return l.recovered, l.recovered.Saved != "" }

// A tailState is the state of the bytes after the last good record.
type tailState int

const (
	clean    tailState = iota // no bytes
	torn                      // the result of a crash: an incomplete line or a lost page
	tampered                  // other bytes
)

// tornOrWorse distinguishes a torn tail from tampering. A checkpoint is signed
// only over durable records, so a crash leaves no hole before a checkpoint.
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
		if _, signed, err := openCheckpoint(noteOf(line), c.keys()); err == nil && signed != 0 {
			return tampered, nil
		}
	}
}

// cutTail saves and removes the bytes after the last good record. The name of
// the saved file contains its place and content, so that another recovery after
// a crash in cutTail writes the same file.
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
	return errors.Join(l.config.Sync.dir(l.dir), f.Truncate(l.at.off), l.config.Sync.file(disk{f}))
}

// save writes the removed bytes to a file and syncs it.
func (l *Ledger) save(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, l.config.Sync.file(disk{f}), f.Close())
}
