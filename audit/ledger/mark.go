package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// markName is the default name of the mark in the directory of the log.
const markName = "mark"

// The mark is the last checkpoint of the writer, in a file of its own. It is
// durable before the checkpoint is in the log. So a log that ends before its
// mark, or that differs from it, is not the log that the writer has left.

// markPath returns the file of the mark.
func (l *Ledger) markPath() string { return cmp.Or(l.config.Mark, filepath.Join(l.dir, markName)) }

// setMark stores a checkpoint as the mark.
func (l *Ledger) setMark(cp Checkpoint) error {
	if err := l.replace(l.markPath(), strings.NewReader(cp.Note)); err != nil {
		return fmt.Errorf("ledger: mark: %w", err)
	}
	return nil
}

// readMark returns the mark. If there is no mark of Signer or Previous, the
// checkpoint is empty and the reason is not nil.
func (l *Ledger) readMark() (cp Checkpoint, reason, err error) {
	path := l.markPath()
	f, err := openRegular(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return cp, fmt.Errorf("mark %s is missing", filepath.Base(path)), nil
	}
	if err != nil {
		return cp, nil, fmt.Errorf("ledger: mark: %w", err)
	}
	note, err := io.ReadAll(io.LimitReader(f, maxNote+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return cp, nil, fmt.Errorf("ledger: mark: %w", err)
	}
	cp, signed, err := openCheckpoint(string(note), l.config.keys())
	if err != nil || signed == 0 || cp.Size == 0 {
		return Checkpoint{}, fmt.Errorf("mark %s is not signed by Signer or Previous", filepath.Base(path)), nil
	}
	return cp, nil, nil
}
