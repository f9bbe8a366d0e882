package follow

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Dir describes many logs to follow in one loop: files that match patterns,
// and files that appear later. Records copies it. Match is required.
type Dir struct {
	// Follower holds the settings of every log. Its Path and From must be
	// empty. AtEnd applies to the files that are there when the loop begins, if
	// State does not contain them.
	Follower Follower

	// Match are patterns of the files to follow, with the rules of
	// [path/filepath.Match]. A pattern that names a folder means all files in
	// it. Rotated and compressed files are not logs of their own. Required.
	Match []string

	// Exclude are patterns of files that are not followed. They are matched
	// with the path and with its last element.
	Exclude []string

	// State is the file in which the loop keeps the places of all logs. It
	// continues there. It saves about every second and when it ends. A record
	// counts as handled when the loop asks for the next. Empty means that the
	// places are not kept.
	State string

	// MaxOpen bounds the files that stay open while nothing is written to them.
	// Zero means 256. A negative value is invalid.
	MaxOpen int

	// Discover is the pause between two searches for new files. Zero means 5
	// seconds. A negative value is invalid.
	Discover time.Duration
}

// Validate reports every field whose value is missing or out of range. A loop
// over an invalid Dir gets that error and no records.
func (d Dir) Validate() error {
	errs := []error{d.Follower.validate()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("follow: "+format, args...)) }
	if d.Follower.Path != "" {
		bad("Follower.Path is %s, want none in a Dir", quote.Text(d.Follower.Path))
	}
	if d.Follower.From != nil {
		bad("Follower.From is set, want nil in a Dir")
	}
	if len(d.Match) == 0 {
		bad("Match is missing")
	}
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"Match", d.Match}, {"Exclude", d.Exclude}} {
		for i, pattern := range list.patterns {
			if _, err := filepath.Match(pattern, ""); err != nil || pattern == "" {
				bad("%s[%d] is %s, want a pattern of filepath.Match", list.name, i, quote.Text(pattern))
			}
		}
	}
	if d.MaxOpen < 0 {
		bad("MaxOpen is %d, want at least 0 (256)", d.MaxOpen)
	}
	if d.Discover < 0 {
		bad("Discover is %v, want at least 0 (5s)", d.Discover)
	}
	return errors.Join(errs...)
}

// Records delivers the records of all logs until ctx is done. Each log has its
// order; logs with new records have their turn after a MiB. The Source of a
// record is the path of its log.
//
// Errors: as [Follower.Records], and the error of a State that cannot be read
// or written.
func (d Dir) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := d.Validate(); err != nil {
			yield(Record{}, err)
			return
		}
		if d.MaxOpen == 0 {
			d.MaxOpen = 256
		}
		if d.Discover == 0 {
			d.Discover = 5 * time.Second
		}
		state, err := loadState(d.State)
		if err != nil {
			yield(Record{}, err)
			return
		}
		l := newLoop(ctx, d.Follower)
		l.dir = &dirLoop{Dir: d, l: l, state: state, trails: map[string]*trail{}}
		for rec, err := range l.records() {
			if !yield(rec, err) {
				return
			}
		}
		if err := l.dir.failed; err != nil {
			yield(Record{}, err)
		}
	}
}

// A dirLoop is the part of a loop that only a Dir has.
type dirLoop struct {
	Dir
	l        *loop
	state    map[string]Checkpoint // of logs that are not followed yet
	trails   map[string]*trail
	listing  listing // of the latest search
	searched time.Time
	saved    time.Time
	took     time.Duration // for the latest save
	failed   error         // the latest save
	changed  bool          // a log is gone, or the latest save failed
	calls    uint
}

// discover begins to follow new files, and forgets files that are gone.
func (d *dirLoop) discover() {
	now := time.Now()
	first := d.searched.IsZero()
	if !first && now.Sub(d.searched) < d.Discover {
		return
	}
	d.searched, d.listing = now, listing{}
	found := map[string]bool{}
	for _, pattern := range d.Match {
		names, err := d.find(pattern)
		if err != nil {
			d.l.report(pattern, err)
			for name := range d.trails { // nothing is known of the folder
				found[name] = true
			}
			continue
		}
		for _, name := range names {
			found[name] = true
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		if d.trails[name] == nil && !d.excluded(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if d.rotated(name, found) {
			continue
		}
		if info, err := d.l.fsys.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		t := &trail{path: name, fresh: !first}
		if c, ok := d.state[name]; ok {
			t.from = &c
			t.saved = c
			delete(d.state, name)
		}
		d.trails[name] = t
		d.l.add(t)
	}
	d.l.trails = slices.DeleteFunc(d.l.trails, func(t *trail) bool {
		if found[t.path] || t.absent.IsZero() || now.Sub(t.absent) < max(d.l.Linger, 0)+d.l.Poll || len(t.queue) > 1 || len(t.late) > 0 {
			return false
		}
		delete(d.trails, t.path)
		t.close()
		d.dirty(t)
		return true
	})
}

// find returns the files of a pattern, or of the folder that it names.
func (d *dirLoop) find(pattern string) ([]string, error) {
	names, err := d.listing.glob(d.l.fsys, pattern)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range names {
		if info, err := d.l.fsys.Stat(name); err == nil && info.IsDir() {
			in, err := d.listing.list(d.l.fsys, filepath.Clean(name))
			if err != nil {
				return nil, err
			}
			for _, base := range in {
				all = append(all, filepath.Join(name, base))
			}
			continue
		}
		all = append(all, name)
	}
	return all, nil
}

func (d *dirLoop) excluded(name string) bool {
	if d.State != "" && (name == d.State || name == d.State+".tmp") {
		return true
	}
	return slices.ContainsFunc(d.Exclude, func(pattern string) bool {
		whole, _ := filepath.Match(pattern, name)
		last, _ := filepath.Match(pattern, filepath.Base(name))
		return whole || last
	})
}

// rotated reports whether name is a compressed file or a rotated file of a log
// that is followed or found.
func (d *dirLoop) rotated(name string, found map[string]bool) bool {
	if packing.MatchString(name) {
		return true
	}
	if d.l.Rotated != nil {
		return slices.ContainsFunc(d.l.Rotated, func(pattern string) bool {
			ok, _ := filepath.Match(pattern, name)
			return ok
		})
	}
	for i := len(name) - 1; i > 0 && name[i] != filepath.Separator; i-- {
		rest := name[i+1:]
		if name[i] != '.' && name[i] != '-' || rest == "" {
			continue
		}
		if (rest[0] >= '0' && rest[0] <= '9' || name[i] == '.' && (rest == "old" || strings.HasPrefix(rest, "old."))) &&
			(found[name[:i]] || d.trails[name[:i]] != nil) {
			return true
		}
	}
	return false
}

// handled notes that the loop has handled the records of b before offset.
func (d *dirLoop) handled(b *burst, offset int64) {
	if d.State == "" {
		return
	}
	b.handled = offset
	b.t.save = true
	if time.Since(d.saved) > time.Second && d.count() {
		d.save(false)
	}
}

// count reports true for one call of 256, which makes asking for the time
// cheap.
func (d *dirLoop) count() bool {
	d.calls++
	return d.calls&255 == 0
}

// dirty makes the next save write the state.
func (d *dirLoop) dirty(*trail) { d.changed = true }

// save writes the state if it has changed: about every second, and less often
// if that takes long.
func (d *dirLoop) save(last bool) {
	if d.State == "" || !last && time.Since(d.saved) < max(time.Second, 50*d.took) {
		return
	}
	start := time.Now()
	d.saved = start
	changed := d.changed
	for _, t := range d.l.trails {
		if !t.save {
			continue
		}
		changed, t.save = true, false
		if b := d.l.burst; b != nil && b.t == t {
			if b.handled < 0 {
				continue // no record of the burst was handled
			}
			t.saved = t.checkpoint(b.g, b.place(b.handled))
		} else if c := t.checkpoint(nil, place{}); len(c.places) > 0 {
			t.saved = c
		}
	}
	if !changed {
		return
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s state\n", magic)
	line := func(path string, c Checkpoint) {
		b, _ := c.MarshalText()
		fmt.Fprintf(&text, "%s %s\n", strconv.Quote(path), b)
	}
	for _, t := range d.l.trails {
		if len(t.saved.places) > 0 {
			line(t.path, t.saved)
		}
	}
	for path, c := range d.state {
		line(path, c)
	}
	err := replace(d.State, text.Bytes())
	if err != nil && (d.failed == nil || d.failed.Error() != err.Error()) && !last {
		d.l.report(d.State, err)
	}
	d.failed, d.changed = err, err != nil
	d.took = time.Since(start)
}

// loadState reads the file of a state. A file that does not exist is empty.
func loadState(path string) (map[string]Checkpoint, error) {
	state := map[string]Checkpoint{}
	if path == "" {
		return state, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return nil, err
	}
	bad := fmt.Errorf("%w: %s", ErrCheckpoint, quote.Text(path))
	lines := bufio.NewScanner(bytes.NewReader(text))
	if !lines.Scan() || lines.Text() != magic+" state" {
		return nil, bad
	}
	for lines.Scan() {
		quoted, err := strconv.QuotedPrefix(lines.Text())
		if err != nil {
			return nil, bad
		}
		name, _ := strconv.Unquote(quoted)
		var c Checkpoint
		if c.UnmarshalText([]byte(strings.TrimPrefix(lines.Text()[len(quoted):], " "))) != nil {
			return nil, bad
		}
		state[name] = c
	}
	return state, lines.Err()
}
