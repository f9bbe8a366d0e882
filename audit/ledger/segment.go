package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segmentName returns the file name of the segment that starts with record
// first. It has 20 digits, so that names and numbers have the same order.
func segmentName(first uint64) string { return fmt.Sprintf("%020d.jsonl", first) }

// segments returns the first records of all segments in order. It ignores other
// files. While a directory grows, a listing may contain a new file but not an
// older file. The result is therefore a second listing, up to the last file of
// the first.
func segments(fsys fs.FS) ([]uint64, error) {
	seen, err := listSegments(fsys)
	if err != nil || len(seen) == 0 {
		return nil, err
	}
	all, err := listSegments(fsys)
	return slices.DeleteFunc(all, func(first uint64) bool { return first > seen[len(seen)-1] }), err
}

// listSegments reads the directory.
func listSegments(fsys fs.FS) (firsts []uint64, err error) {
	entries, err := fs.ReadDir(fsys, ".") // sorted
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), ".jsonl")
		first, err := strconv.ParseUint(digits, 10, 64)
		if ok && err == nil && e.Name() == segmentName(first) {
			firsts = append(firsts, first)
		}
	}
	return firsts, nil
}

// A header is the first line of a segment. Range contains the roots of the full
// subtrees over all previous records, the largest first. A log without its
// older segments thus still has its root.
type header struct {
	Type    string    `json:"type"`
	Time    time.Time `json:"time"`
	Version int       `json:"version"`
	Log     string    `json:"log"` // random, equal in all segments
	Origin  string    `json:"origin"`
	Range   []Hash    `json:"range"`
}

// parseHeader reads a well-formed line as a header.
func parseHeader(line []byte) (h header, ok bool) {
	err := json.Unmarshal(line, &h)
	return h, err == nil && h.Type == "ledger" && h.Version == 1
}

// headerFields returns the inside of the header of a segment that starts at p.
func (l *Ledger) headerFields(p *position) string {
	fields := fmt.Sprintf(`"version":1,"log":"%s","origin":"%s"`, l.log, l.config.Origin)
	if p.tree.size == 0 {
		return fields
	}
	roots, _ := json.Marshal(p.tree.roots()) // an array of texts
	return fields + `,"range":` + string(roots)
}

// full reports whether the next commit starts a new segment.
func (l *Ledger) full() bool {
	return l.config.MaxSize > 0 && l.at.off >= l.config.MaxSize || l.config.MaxAge > 0 && time.Since(l.born) >= l.config.MaxAge
}

// Rotate seals the current segment, if there is a [Config.Signer], and starts
// another segment. It does nothing if the current segment contains only its
// header.
//
// Errors: the errors of WriteEvents and of Checkpoint. The log continues in the
// old segment, except after [ErrFailed].
func (l *Ledger) Rotate(ctx context.Context) error {
	if err := done(ctx, "rotate"); err != nil {
		return err
	}
	l.mu.Lock()
	before := l.sealed
	err := l.rotate()
	cp := l.sealed
	l.mu.Unlock()
	return errors.Join(err, l.anchored(ctx, cp, cp != before))
}

// rotate seals the segment and starts another. The caller holds l.mu.
func (l *Ledger) rotate() error {
	if l.fail != nil {
		return l.fail
	}
	if l.at.tree.size == l.segs[len(l.segs)-1]+1 {
		return nil
	}
	if l.config.Signer != nil {
		if _, _, err := l.seal(); err != nil {
			return err
		}
	}
	if err := l.settle(); err != nil {
		return err
	}
	return l.begin()
}

// begin creates a segment that starts at the current position. The header and
// the name are durable before the segment is used.
func (l *Ledger) begin() error {
	next := l.at
	next.off = 0
	line := appendHead(nil, next.tree.size, next.prev)
	line = append(line, serviceBody("ledger", l.headerFields(&next))[1:]...)
	first := next.tree.size
	next.add(line)
	path := filepath.Join(l.dir, segmentName(first))
	f, err := l.create(path)
	if err != nil {
		return fmt.Errorf("ledger: new segment: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		// First the file, then its name: a durable name needs a durable file.
		err = errors.Join(l.flush(f), l.config.Sync.dir(l.dir))
	}
	if err != nil {
		_ = f.Close()
		if gone := os.Remove(path); gone != nil {
			return l.stop(errors.Join(err, gone))
		}
		return fmt.Errorf("ledger: new segment: %w", err)
	}
	old := l.f
	l.f, l.path, l.born = f, path, time.Now()
	l.moved(next, 1, uint64(next.off))
	l.counters.segments.Add(1)
	l.segs = append(l.segs, first)
	if old != nil {
		if err := old.Close(); err != nil {
			return l.stop(err)
		}
	}
	return nil
}

// createFile creates a segment. It fails if the file exists, also as a link.
func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return disk{f}, nil
}

// prune removes the oldest segments beyond l.config.Retain. Only the range in
// the header of the oldest remaining segment replaces them, so that header must
// be sealed.
func (l *Ledger) prune() error {
	removed := false
	for l.config.Retain > 0 && len(l.segs) > l.config.Retain && l.segs[1] < l.sealed.Size {
		if err := os.Remove(filepath.Join(l.dir, segmentName(l.segs[0]))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("ledger: prune: %w", err)
		}
		l.segs = l.segs[1:]
		l.counters.pruned.Add(1)
		removed = true
	}
	if !removed {
		return nil
	}
	return l.config.Sync.dir(l.dir)
}

// isService reports whether a well-formed line is a service line of the given
// type, or of any type if typ is empty. A service line has its type where an
// event has its time.
func isService(line []byte, typ string) bool {
	rest, ok := bytes.CutPrefix(line[max(bodyOf(line), 0):], []byte(`"type":"`))
	return ok && (typ == "" || bytes.HasPrefix(rest, []byte(typ+`"`)))
}

// serviceBody returns the JSON object of a service line. Fields is the inside
// of the object after type and time.
func serviceBody(typ, fields string) []byte {
	return fmt.Appendf(nil, `{"type":"%s","time":"%s",%s}`, typ, time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z"), fields)
}
