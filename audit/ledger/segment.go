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

// segmentName is the file of the records from first on: twenty digits, so that
// the order of the names is that of the numbers.
func segmentName(first uint64) string { return fmt.Sprintf("%020d.jsonl", first) }

// segments lists the first records of all segments in order. Other files are
// passed over. A directory that grows while it is read can show a new file and
// not an older one, so what counts is a second look, up to the last of the first.
func segments(fsys fs.FS) ([]uint64, error) {
	seen, err := listSegments(fsys)
	if err != nil || len(seen) == 0 {
		return nil, err
	}
	all, err := listSegments(fsys)
	return slices.DeleteFunc(all, func(first uint64) bool { return first > seen[len(seen)-1] }), err
}

// listSegments is one look at the directory.
func listSegments(fsys fs.FS) (firsts []uint64, err error) {
	entries, err := fs.ReadDir(fsys, ".") // sorted by name
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

// header is the first line of a segment. Range holds the roots of the full
// subtrees over all records before it, the largest first, so that a log whose
// older segments are gone still has its root.
type header struct {
	Type    string    `json:"type"`
	Time    time.Time `json:"time"`
	Version int       `json:"version"`
	Log     string    `json:"log"` // random, the same in all segments
	Origin  string    `json:"origin"`
	Range   []Hash    `json:"range"`
}

// parseHeader reads a well-formed line as a header.
func parseHeader(line []byte) (h header, ok bool) {
	err := json.Unmarshal(line, &h)
	return h, err == nil && h.Type == "ledger" && h.Version == 1
}

// headerFields is the inside of the header of a segment that begins at p.
func (l *Ledger) headerFields(p *position) string {
	fields := fmt.Sprintf(`"version":1,"log":"%s","origin":"%s"`, l.log, l.origin)
	if p.tree.size == 0 {
		return fields
	}
	var b strings.Builder
	for i, h := range p.tree.roots() {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + h.String() + `"`)
	}
	return fields + `,"range":[` + b.String() + `]`
}

// full reports whether the next commit belongs in a new segment.
func (l *Ledger) full() bool {
	return l.maxSize > 0 && l.at.off >= l.maxSize || l.maxAge > 0 && time.Since(l.born) >= l.maxAge
}

// Rotate seals the current segment, if there is a [Config.Signer], and begins
// another; a segment that holds nothing but its header stays.
//
// Errors: those of WriteEvents and of Checkpoint; the log then goes on in the old
// segment, unless it matches [ErrFailed].
func (l *Ledger) Rotate(ctx context.Context) error {
	if err := done(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	before := l.sealed
	err := l.rotate()
	cp := l.sealed
	l.mu.Unlock()
	return errors.Join(err, l.anchored(ctx, cp, cp != before))
}

// rotate seals and leaves the segment for a new one. It runs under l.mu.
func (l *Ledger) rotate() error {
	if l.fail != nil {
		return l.fail
	}
	if l.at.tree.size == l.segs[len(l.segs)-1]+1 {
		return nil
	}
	if l.signer != nil {
		if _, _, err := l.seal(l.signer); err != nil {
			return err
		}
	}
	if err := l.settle(); err != nil {
		return err
	}
	return l.begin()
}

// begin makes the segment that starts at the present position and moves there. The
// header and the name are durable before the segment is used.
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
		// The file before the name: a name that lasts must not stand for an empty file.
		err = errors.Join(l.flush(f), l.sync.dir(l.dir))
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
	l.unsealed++
	if old != nil {
		if err := old.Close(); err != nil {
			return l.stop(err)
		}
	}
	return nil
}

// createFile makes a segment. It must not exist, not even as a link.
func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return disk{f}, nil
}

// prune removes the oldest segments beyond l.retain. What replaces them is the
// range in the header of the oldest that stays, so that header must be sealed.
func (l *Ledger) prune() error {
	removed := false
	for l.retain > 0 && len(l.segs) > l.retain && l.segs[1] < l.sealed.Size {
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
	return l.sync.dir(l.dir)
}

// isService reports whether a well-formed line is of this package's own type, as
// told by what stands where events have their time.
func isService(line []byte, typ string) bool {
	rest, ok := bytes.CutPrefix(line[max(bodyOf(line), 0):], []byte(`"type":"`))
	return ok && (typ == "" || bytes.HasPrefix(rest, []byte(typ+`"`)))
}

// serviceBody is the JSON object of a line of this package's own; fields is the
// inside of the object after the type.
func serviceBody(typ, fields string) []byte {
	return fmt.Appendf(nil, `{"type":"%s","time":"%s",%s}`, typ, time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z"), fields)
}
