package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

	// Key is the public key in office: the key that has begun the log, or that
	// has signed Handover together with the key before it.
	Key      string `json:"key"`
	Handover string `json:"handover"`
	Range    []Hash `json:"range"`
}

// version is the version of the format.
const version = 2

// parseHeader reads a well-formed line as a header.
func parseHeader(line []byte) (h header, ok bool) {
	err := json.Unmarshal(line, &h)
	return h, err == nil && h.Type == "ledger" && h.Version == version
}

// quoted returns s as a JSON text.
func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// headerFields returns the inside of the header of a segment that starts at p.
func (l *Ledger) headerFields(p *position) string {
	fields := fmt.Sprintf(`"version":%d,"log":%s,"origin":%s`, version, quoted(l.log), quoted(l.config.Origin))
	if l.office != "" {
		fields += `,"key":` + quoted(l.office)
	}
	if l.handover != "" {
		fields += `,"handover":` + quoted(l.handover)
	}
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
// another segment. If the log cannot be sealed, the segment is started anyway.
// Rotate does nothing if the current segment contains only its header.
//
// Errors: the errors of WriteEvents and of Checkpoint.
func (l *Ledger) Rotate(ctx context.Context) error {
	if err := done(ctx, "rotate"); err != nil {
		return err
	}
	defer l.deliver()
	var fresh bool
	var err error
	if l.config.Signer != nil && !l.begun() {
		_, fresh, err = l.seal(ctx)
	}
	l.mu.Lock()
	if rerr := l.rotate(); rerr != nil && !errors.Is(err, rerr) {
		err = errors.Join(err, rerr)
	}
	l.remind()
	l.mu.Unlock()
	return errors.Join(err, l.anchor(ctx, fresh))
}

// begun reports whether the current segment contains only its header.
func (l *Ledger) begun() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.headerOnly()
}

func (l *Ledger) headerOnly() bool { return l.at.tree.size == l.segs[len(l.segs)-1]+1 }

// rotate starts another segment. The next checkpoint covers the rest of the old
// segment. The caller holds l.mu.
func (l *Ledger) rotate() error {
	if l.fail != nil {
		return l.fail
	}
	if l.headerOnly() {
		return nil
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
	if l.secret != nil {
		line = l.appendMAC(line, 0, "}")
	}
	first := next.tree.size
	next.add(line)
	path := filepath.Join(l.dir, segmentName(first))
	f, err := l.files.Create(path)
	if err != nil {
		return fmt.Errorf("ledger: new segment: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		// First the file, then its name: a durable name needs a durable file.
		err = errors.Join(l.flush(f), l.syncDir(path))
	}
	if err != nil {
		_ = f.Close()
		if gone := l.files.Remove(path); gone != nil {
			return l.stop(errors.Join(err, gone))
		}
		return fmt.Errorf("ledger: new segment: %w", err)
	}
	old := l.f
	l.f, l.path, l.born = f, path, time.Now()
	l.moved(next, 1, uint64(next.off))
	l.durable = l.config.Sync != SyncNever
	l.counters.segments.Add(1)
	l.segs = append(l.segs, first)
	if old != nil {
		if err := old.Close(); err != nil {
			return l.stop(err)
		}
	}
	return nil
}

// prune removes the oldest segments beyond l.config.Retain. Only the header of
// the oldest remaining segment replaces them, so that header must be sealed.
// Each removal is durable before the next, so that a crash leaves no gap.
func (l *Ledger) prune() error {
	for l.config.Retain > 0 && len(l.segs) > l.config.Retain && l.segs[1] < l.last.Size {
		path := filepath.Join(l.dir, segmentName(l.segs[0]))
		if err := l.files.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("ledger: prune: %w", err)
		}
		l.segs = l.segs[1:]
		l.counters.pruned.Add(1)
		if err := l.syncDir(path); err != nil {
			return fmt.Errorf("ledger: prune: %w", err)
		}
	}
	return nil
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
