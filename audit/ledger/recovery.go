package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

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
	return errors.Join(l.sync.dir(l.dir), f.Truncate(l.at.off), l.sync.file(disk{f}))
}

// save writes the removed bytes to a file and syncs it.
func (l *Ledger) save(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, l.sync.file(disk{f}), f.Close())
}
