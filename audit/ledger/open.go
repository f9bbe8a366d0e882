package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Open opens the log in dir, making both where they do not exist (modes 0700 and
// 0600), and reads all of it. A tail torn by a crash is taken off and saved, see
// the package documentation.
//
// Errors: that of [Config.Validate], [ErrLocked], a [*TamperError], [ErrFormat]
// for a log of another origin or version, errors.ErrUnsupported where there is no
// flock, those of the file system, and ctx.Err() with context.Cause(ctx).
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
	l := &Ledger{path: filepath.Join(dir, segmentName), sync: c.Sync, unlock: lock}
	if err := l.open(ctx, dir, c); err != nil {
		if l.f != nil {
			_ = l.f.Close()
		}
		_ = lock.Close()
		return nil, err
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context, dir string, c Config) error {
	f, err := openSegment(l.path)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	l.f = f
	if err := l.sync.dir(dir); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	tail, err := l.scan(ctx, f, c.Origin)
	if err != nil {
		return err
	}
	if tail == tampered {
		_, err := Verify(ctx, os.DirFS(dir), VerifyConfig{})
		return errors.Join(err, errIf(err == nil, formatError("log does not hang together")))
	}
	var torn string
	if tail != clean {
		if torn, err = l.cutTail(f, dir); err != nil {
			return fmt.Errorf("ledger: recover: %w", err)
		}
	}
	if l.at.tree.size == 0 {
		origin := c.Origin
		if origin == "" {
			origin = "ledger"
		}
		err = l.service("ledger", fmt.Sprintf(`"version":1,"log":"%s","origin":"%s"`, rand.Text(), origin))
	}
	if err == nil && torn != "" {
		err = l.service("recovered", torn)
	}
	return err
}

func errIf(cond bool, err error) error {
	if cond {
		return err
	}
	return nil
}

// What a scan finds after the last good record.
type tailState int

const (
	clean    tailState = iota // nothing
	torn                      // what a crash leaves: half a line, or a lost page
	tampered                  // anything else
)

// scan reads the log up to its end or first fault and sets l.at.
func (l *Ledger) scan(ctx context.Context, r io.Reader, origin string) (tailState, error) {
	lr := newLineReader(r)
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
			return torn, nil
		}
		seq, prev, ok := parseLine(line)
		if !ok || seq != l.at.tree.size || prev != l.at.prev {
			return tampered, nil
		}
		if seq == 0 {
			if err := checkHeader(line, origin); err != nil {
				return clean, err
			}
		}
		l.at.add(line)
	}
}

func checkHeader(line []byte, origin string) error {
	var h struct {
		Type    string `json:"type"`
		Version int    `json:"version"`
		Origin  string `json:"origin"`
	}
	if json.Unmarshal(line, &h) != nil || h.Type != "ledger" || h.Version != 1 {
		return formatError("first line is not the header of a version 1 log")
	}
	if origin != "" && origin != h.Origin {
		return formatError(fmt.Sprintf("log of origin %.64q, not %.64q", h.Origin, origin))
	}
	return nil
}

// cutTail saves everything after the last good record and takes it off. The
// saved file is named after its place and content, so that a crash in here and a
// second recovery write the same file again. It returns what the log will say.
func (l *Ledger) cutTail(f *os.File, dir string) (fields string, err error) {
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	size := st.Size() - l.at.off
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, l.at.off, size)); err != nil {
		return "", err
	}
	digest := fmt.Sprintf("%x", sum.Sum(nil))
	name := fmt.Sprintf("torn-%d-%s", l.at.off, digest[:16])
	if err := l.save(filepath.Join(dir, name), io.NewSectionReader(f, l.at.off, size)); err != nil {
		return "", err
	}
	if err := errors.Join(l.sync.dir(dir), f.Truncate(l.at.off), l.sync.file(f)); err != nil {
		return "", err
	}
	return fmt.Sprintf(`"bytes":%d,"sha256":"%s","saved":"%s"`, size, digest, name), nil
}

func (l *Ledger) save(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, l.sync.file(f), f.Close())
}

// openSegment opens the file, or makes it, without following a symbolic link.
func openSegment(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil || !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	named, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, formatError("segment is not a regular file")
	}
	if f, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0); err != nil {
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
