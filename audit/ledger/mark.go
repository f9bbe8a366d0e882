package ledger

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
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
//
// The mark protects the lines that it covers. If Config.Mark is set, a secret
// beside the mark protects the lines after them: the last line of each commit
// contains a MAC. After a crash, lines behind the last MAC are cut off.

// macPart precedes the MAC, which is near the end of a line.
const (
	macPart = `,"mac":"`
	macLen  = 12 // bytes
	macText = 16 // letters of base64
)

// markPath returns the file of the mark.
func (l *Ledger) markPath() string { return cmp.Or(l.config.Mark, filepath.Join(l.dir, markName)) }

// setMark stores a checkpoint as the mark.
func (l *Ledger) setMark(cp Checkpoint) error {
	if err := l.replace(l.markPath(), strings.NewReader(cp.Note)); err != nil {
		return fmt.Errorf("ledger: mark: %w", err)
	}
	return nil
}

// readMark returns the mark. If there is no mark of Signer or Previous, or no
// secret, the checkpoint is empty and the reason is not nil.
func (l *Ledger) readMark() (cp Checkpoint, reason, err error) {
	name := filepath.Base(l.markPath())
	note, err := readSmall(l.markPath())
	if err == nil && l.config.Mark != "" {
		l.secret, err = readSmall(l.config.Mark + ".key")
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return cp, fmt.Errorf("the mark %q is missing", name), nil
	case err != nil:
		return cp, nil, fmt.Errorf("ledger: mark: %w", err)
	}
	cp, signed, err := openCheckpoint(string(note), l.config.keys())
	if err != nil || signed == 0 || cp.Size == 0 || l.config.Mark != "" && len(l.secret) < macLen {
		l.secret = nil
		return Checkpoint{}, fmt.Errorf("the mark %q is not by Signer or Previous", name), nil
	}
	return cp, nil, nil
}

// newSecret creates the secret of a new mark.
func (l *Ledger) newSecret() error {
	if l.config.Mark == "" || l.secret != nil {
		return nil
	}
	secret := rand.Text()
	if err := l.replace(l.config.Mark+".key", strings.NewReader(secret)); err != nil {
		return fmt.Errorf("ledger: mark: %w", err)
	}
	l.secret = []byte(secret)
	return nil
}

// readSmall reads a file with a mark or a secret.
func readSmall(path string) ([]byte, error) {
	f, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxNote+1))
	return text, errors.Join(err, f.Close())
}

// mac returns the MAC of a line without its MAC. The line contains the hash of
// the line before, so that the MAC protects all lines.
func (l *Ledger) mac(line ...[]byte) (text [macText]byte) {
	h := hmac.New(sha256.New, l.secret)
	for _, part := range line {
		_, _ = h.Write(part)
	}
	base64.StdEncoding.Encode(text[:], h.Sum(nil)[:macLen])
	return text
}

// appendMAC inserts the MAC before the end of the line at b[start:], which is
// the brace or syncedPart.
func (l *Ledger) appendMAC(b []byte, start int, end string) []byte {
	text := l.mac(b[start:])
	b = append(b[:len(b)-len(end)], macPart...)
	b = append(b, text[:]...)
	return append(append(b, '"'), end...)
}

// authentic reports whether a line ends with its MAC.
func (l *Ledger) authentic(line []byte) bool {
	end := "}"
	if bytes.HasSuffix(line, []byte(syncedPart)) {
		end = syncedPart
	}
	from := len(line) - len(end) - len(macPart) - macText - 1
	if from < 0 || string(line[from:from+len(macPart)]) != macPart {
		return false
	}
	text := l.mac(line[:from], []byte(end))
	return hmac.Equal(text[:], line[from+len(macPart):from+len(macPart)+macText])
}
