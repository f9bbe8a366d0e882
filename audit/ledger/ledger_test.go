package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

const segment = "00000000000000000000.jsonl"

var never = ledger.Config{Sync: ledger.SyncNever}

func open(t testing.TB, dir string, c ledger.Config) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(context.Background(), dir, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func event(id string) *audit.Event {
	return &audit.Event{ID: id, Action: "test", Outcome: audit.Success}
}

func write(t testing.TB, l *ledger.Ledger, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := l.WriteEvents(context.Background(), []*audit.Event{event(id)}); err != nil {
			t.Fatal(err)
		}
	}
}

// sample returns the lines of a log with a header and n events.
func sample(t testing.TB, n int) [][]byte {
	t.Helper()
	dir := t.TempDir()
	l := open(t, dir, never)
	for i := range n {
		write(t, l, fmt.Sprintf("e%d", i+1))
	}
	_ = l.Close()
	return split(read(t, dir))
}

func read(t testing.TB, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, segment))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func split(data []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

func join(lines [][]byte) []byte {
	if len(lines) == 0 {
		return nil
	}
	return append(bytes.Join(lines, []byte("\n")), '\n')
}

func fsOf(data []byte) fs.FS { return fstest.MapFS{segment: {Data: data}} }

func ids(t testing.TB, fsys fs.FS) []string {
	t.Helper()
	var out []string
	for r, err := range ledger.Events(fsys) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Event.ID)
	}
	return out
}

func checkIs(t *testing.T, got error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(got, w) {
			t.Errorf("error %v does not match %v", got, w)
		}
	}
}

// checkEqual reports the difference between got and want.
func checkEqual(t *testing.T, got, want any, options ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, options...); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func verifyOK(t *testing.T, dir string) *ledger.Report {
	t.Helper()
	r, err := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWriteCloseReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "audit.d")
	c := ledger.Config{Origin: "example.com/test"}
	l := open(t, dir, c)
	write(t, l, "a", "b")
	head := l.Head()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("x")}), ledger.ErrClosed)
	l = open(t, dir, c)
	if l.Head() != head {
		t.Errorf("head %v after reopening, want %v", l.Head(), head)
	}
	write(t, l, "c")
	checkEqual(t, ids(t, os.DirFS(dir)), []string{"a", "b", "c"})
	r := verifyOK(t, dir)
	if r.Records != 4 || r.Root != l.Head().Root {
		t.Errorf("report %+v, head %v", r, l.Head())
	}
	for range ledger.Events(os.DirFS(dir)) {
		break // an early end must not panic
	}
}

func TestConfig(t *testing.T) {
	bad := ledger.Config{Origin: "two words", Sync: 7}
	err := bad.Validate()
	checkIs(t, err, ledger.ErrFormat)
	if n := strings.Count(err.Error(), "want"); n != 2 {
		t.Errorf("%d problems in %q, want 2", n, err)
	}
	_, err = ledger.Open(context.Background(), t.TempDir(), bad)
	checkIs(t, err, ledger.ErrFormat)

	dir := t.TempDir()
	_ = open(t, dir, ledger.Config{Origin: "one"}).Close()
	_, err = ledger.Open(context.Background(), dir, ledger.Config{Origin: "two"})
	checkIs(t, err, ledger.ErrFormat)
	_ = open(t, dir, ledger.Config{}).Close()

	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("shutting down")
	cancel(cause)
	_, err = ledger.Open(ctx, dir, ledger.Config{})
	checkIs(t, err, context.Canceled, cause)
	l := open(t, dir, never)
	checkIs(t, l.WriteEvents(ctx, []*audit.Event{event("x")}), context.Canceled, cause)
	if l.Head().Size != 1 {
		t.Errorf("%d records, want 1", l.Head().Size)
	}
	if err := l.WriteEvents(context.Background(), nil); err != nil || l.Head().Size != 1 {
		t.Errorf("no events: %v, size %d", err, l.Head().Size)
	}
}

var errFull = errors.New("no space left")

// faulty is a file that fails on demand.
type faulty struct {
	ledger.File
	writeLimit int // bytes before ENOSPC; -1 is no limit
	failSync   bool
	failTrunc  bool
	syncs      atomic.Int32
	gate       chan struct{} // if set, each Write waits for it
	entered    chan struct{} // if set, receives at the start of each Write
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.gate != nil {
		if f.entered != nil {
			f.entered <- struct{}{}
		}
		<-f.gate
	}
	if f.writeLimit >= 0 && len(p) > f.writeLimit {
		n, _ := f.File.Write(p[:f.writeLimit])
		return n, errFull
	}
	return f.File.Write(p)
}

func (f *faulty) Sync() error {
	f.syncs.Add(1)
	if f.failSync {
		return syscall.EIO
	}
	return f.File.Sync()
}

func (f *faulty) Truncate(n int64) error {
	if f.failTrunc {
		return syscall.EIO
	}
	return f.File.Truncate(n)
}

func (f *faulty) synced() int { return int(f.syncs.Load()) }

func inject(l *ledger.Ledger) *faulty {
	ff := &faulty{writeLimit: -1}
	ledger.WrapFile(l, func(f ledger.File) ledger.File { ff.File = f; return ff })
	return ff
}

func TestShortWriteIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	write(t, l, "a")
	before := read(t, dir)
	ff := inject(l)
	for limit := range 60 {
		ff.writeLimit = limit
		err := l.WriteEvents(context.Background(), []*audit.Event{event("lost"), event("lost too")})
		checkIs(t, err, errFull)
		if errors.Is(err, audit.ErrUncertain) || errors.Is(err, ledger.ErrFailed) {
			t.Errorf("a write that was taken back is reported as %v", err)
		}
		if !bytes.Equal(read(t, dir), before) {
			t.Fatalf("limit %d left something behind", limit)
		}
	}
	ff.writeLimit = -1 // there is room again
	write(t, l, "b")
	verifyOK(t, dir)
	ff.writeLimit, ff.failTrunc = 5, true
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("c")}), audit.ErrUncertain, ledger.ErrFailed)
	ff.writeLimit = -1
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("d")}), ledger.ErrFailed)
	_ = l.Close()
	l = open(t, dir, never) // half a line is left, which only Open can mend
	write(t, l, "e")
	checkEqual(t, ids(t, os.DirFS(dir)), []string{"a", "b", "e"})
}

func TestFullDevice(t *testing.T) {
	// The device is always full. For a device that becomes full during a write,
	// see crash_unix_test.go.
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	dir := t.TempDir()
	l := open(t, dir, never)
	before := read(t, dir)
	ledger.WrapFile(l, func(f ledger.File) ledger.File { return &onDevice{f, full} })
	err = l.WriteEvents(context.Background(), []*audit.Event{event("a")})
	if err == nil || errors.Is(err, audit.ErrUncertain) {
		t.Errorf("error %v", err)
	}
	ledger.WrapFile(l, func(f ledger.File) ledger.File { return f.(*onDevice).File })
	if !bytes.Equal(read(t, dir), before) {
		t.Error("the failed write left something behind")
	}
	write(t, l, "b")
	verifyOK(t, dir)
}

// onDevice writes to a device in place of the file.
type onDevice struct {
	ledger.File
	w io.Writer
}

func (d *onDevice) Write(p []byte) (int, error) { return d.w.Write(p) }

func TestSyncErrorStops(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, ledger.Config{})
	ff := inject(l)
	ff.failSync = true
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("a")}), audit.ErrUncertain, ledger.ErrFailed, syscall.EIO)
	ff.failSync = false
	err := l.WriteEvents(context.Background(), []*audit.Event{event("b")})
	checkIs(t, err, ledger.ErrFailed)
	if errors.Is(err, audit.ErrUncertain) || ff.synced() != 1 {
		t.Errorf("later event: %v after %d syncs, want certain failure after 1", err, ff.synced())
	}
	_ = l.Close()
	write(t, open(t, dir, ledger.Config{}), "c")
	verifyOK(t, dir)
}

func TestModesAndLinks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	_ = open(t, dir, sealing(signer(t, origin, 1))).Close()
	for name, want := range map[string]fs.FileMode{".": fs.ModeDir | 0o700, segment: 0o600, "mark": 0o600} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, st.Mode(), want)
		}
	}
	for _, name := range []string{segment, "mark"} {
		dir := t.TempDir()
		elsewhere := filepath.Join(t.TempDir(), "victim")
		_ = os.WriteFile(elsewhere, nil, 0o600)
		if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
		_, err := ledger.Open(context.Background(), dir, sealing(signer(t, origin, 1)))
		checkIs(t, err, ledger.ErrFormat)
		if text, _ := os.ReadFile(elsewhere); len(text) > 0 {
			t.Errorf("a link in place of %s is followed", name)
		}
	}
}

func TestRecoversTornTail(t *testing.T) {
	lines := sample(t, 3)
	good := join(lines)
	next := sample(t, 3)[2] // a well-formed line of another log
	for _, c := range []struct{ name, tail string }{
		{"half a line", `{"seq":4,"prev":"`},
		{"line without its end", string(next)},
		{"zeros", strings.Repeat("\x00", 5000)},
		{"lost page, then records", "{\"seq\":4,\x00\x00\x00}\n" + string(next) + "\n"},
		{"long garbage", strings.Repeat("x", 3<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, segment)
			_ = os.WriteFile(path, append(bytes.Clone(good), c.tail...), 0o600)
			_ = open(t, dir, never).Close()
			if !bytes.HasPrefix(read(t, dir), good) {
				t.Fatal("good records were lost")
			}
			last := split(read(t, dir))
			if s := string(last[len(last)-1]); len(last) != 5 || !strings.Contains(s, `"type":"recovered"`) ||
				!strings.Contains(s, fmt.Sprintf(`"bytes":%d`, len(c.tail))) {
				t.Errorf("last line %s", s)
			}
			saved, _ := filepath.Glob(filepath.Join(dir, "torn-*"))
			if len(saved) != 1 {
				t.Fatalf("saved %v, want one file", saved)
			}
			if kept, _ := os.ReadFile(saved[0]); string(kept) != c.tail {
				t.Errorf("saved %d bytes, want %d", len(kept), len(c.tail))
			}
			verifyOK(t, dir)
			// The crash strikes again before the recovery is on the disk.
			_ = os.WriteFile(path, append(bytes.Clone(good), c.tail...), 0o600)
			write(t, open(t, dir, never), "more")
			verifyOK(t, dir)
			if again, _ := filepath.Glob(filepath.Join(dir, "torn-*")); len(again) != 1 {
				t.Errorf("second recovery saved %v", again)
			}
		})
	}
}

func TestRefusesTamperedLog(t *testing.T) {
	lines := sample(t, 4)
	lines[2] = bytes.Replace(lines[2], []byte("success"), []byte("failure"), 1)
	dir := t.TempDir()
	data := join(lines)
	_ = os.WriteFile(filepath.Join(dir, segment), data, 0o600)
	_, err := ledger.Open(context.Background(), dir, never)
	var te *ledger.TamperError
	if !errors.As(err, &te) || te.Problems[0].Kind != ledger.KindAltered || te.Problems[0].From != 2 {
		t.Errorf("error %v", err)
	}
	if !bytes.Equal(read(t, dir), data) {
		t.Error("the evidence was touched")
	}
	_ = os.WriteFile(filepath.Join(dir, segment), []byte("hello\n"), 0o600)
	_, err = ledger.Open(context.Background(), dir, never)
	checkIs(t, err, ledger.ErrTampered)
}

func TestSyncBeforeAcknowledge(t *testing.T) {
	l := open(t, t.TempDir(), ledger.Config{})
	ff := inject(l)
	write(t, l, "a", "b")
	if ff.synced() != 2 {
		t.Errorf("%d syncs for 2 events one after the other, want 2", ff.synced())
	}
	quiet := open(t, t.TempDir(), never)
	ff = inject(quiet)
	write(t, quiet, "a")
	if ff.synced() != 0 {
		t.Errorf("SyncNever synced %d times", ff.synced())
	}
}

// Events that arrive during a commit share the next commit.
func TestGroupCommit(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, ledger.Config{})
	ff := inject(l)
	ff.gate, ff.entered = make(chan struct{}), make(chan struct{}, 2)
	var wg sync.WaitGroup
	add := func() {
		wg.Go(func() {
			if err := l.WriteEvents(context.Background(), []*audit.Event{event("x")}); err != nil {
				t.Error(err)
			}
		})
	}
	add()
	<-ff.entered
	for range 20 {
		add()
	}
	for ledger.Waiting(l) < 20 {
		runtime.Gosched()
	}
	close(ff.gate)
	wg.Wait()
	if ff.synced() != 2 || l.Head().Size != 22 {
		t.Errorf("%d syncs for %d records, want 2 for 22", ff.synced(), l.Head().Size)
	}
	verifyOK(t, dir)
}

func TestCancelledWaitIsUncertain(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	ff := inject(l)
	ff.gate, ff.entered = make(chan struct{}), make(chan struct{}, 9)
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("client went away")
	errs := make(chan error, 2)
	begin := func() { errs <- l.WriteEvents(context.Background(), []*audit.Event{event("x")}) }
	go begin()
	<-ff.entered // the first is in its commit
	go begin()
	for ledger.Waiting(l) == 0 { // the second leads the batch after it
		runtime.Gosched()
	}
	late := make(chan error)
	go func() { late <- l.WriteEvents(ctx, []*audit.Event{event("late")}) }()
	for ledger.Waiting(l) == 1 { // and the third waits in that batch
		runtime.Gosched()
	}
	cancel(cause)
	checkIs(t, <-late, audit.ErrUncertain, cause)
	close(ff.gate)
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	checkEqual(t, ids(t, os.DirFS(dir)), []string{"x", "x", "late"})
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	_, err := ledger.Open(context.Background(), dir, never)
	checkIs(t, err, ledger.ErrLocked)
	write(t, l, "a")
	data := read(t, dir)
	r, err := ledger.Verify(context.Background(), fsOf(data[:len(data)-10]), ledger.VerifyConfig{})
	if err != nil || r.Records != 1 || r.Unfinished == 0 {
		t.Errorf("a line being written: %+v, %v", r, err)
	}
	_ = l.Close()
	open(t, dir, never)
}

func TestFileChangedUnderneath(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"removed":  os.Remove,
		"moved":    func(p string) error { return os.Rename(p, p+".1") },
		"replaced": func(p string) error { _ = os.Rename(p, p+".1"); return os.WriteFile(p, nil, 0o600) },
		"cut":      func(p string) error { return os.Truncate(p, 10) },
		"appended": func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, _ = f.WriteString("x\n")
				err = f.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir, never)
			write(t, l, "a")
			if err := change(filepath.Join(dir, segment)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("b")}), ledger.ErrFailed)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Clocks can be set back. The order of a log is the order of its numbers.
func TestTimeMayGoBackwards(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	var events []*audit.Event
	for i := range 3 {
		e := event(strconv.Itoa(i))
		e.Time = time.Date(2026, 1, 3-i, 0, 0, 0, 0, time.UTC)
		events = append(events, e)
	}
	if err := l.WriteEvents(context.Background(), events); err != nil {
		t.Fatal(err)
	}
	verifyOK(t, dir)
	checkEqual(t, ids(t, os.DirFS(dir)), []string{"0", "1", "2"})
}

// A file system may report lost writes when a segment is closed. The ledger
// then stops, as after a failed sync.
func TestCloseErrorStops(t *testing.T) {
	l := open(t, t.TempDir(), never)
	ledger.WrapFile(l, func(f ledger.File) ledger.File { return badClose{f} })
	write(t, l, "a")
	checkIs(t, l.Rotate(context.Background()), ledger.ErrFailed, syscall.EIO)
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("b")}), ledger.ErrFailed)
}

type badClose struct{ ledger.File }

func (f badClose) Close() error { return errors.Join(f.File.Close(), syscall.EIO) }

func TestCloseWritesNothing(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	before := read(t, dir)
	_ = l.Close()
	_ = open(t, dir, never).Close()
	if !bytes.Equal(read(t, dir), before) {
		t.Error("opening and closing changed the log")
	}
}

func TestStrictLines(t *testing.T) {
	prev := strings.Repeat("A", 43) + "="
	ok := `{"seq":1,"prev":"` + prev + `","a":1}`
	if _, _, good := ledger.ParseLine([]byte(ok)); !good {
		t.Fatal("a good line is refused")
	}
	for name, line := range map[string]string{
		"empty":            "",
		"byte order mark":  "\ufeff" + ok,
		"CR at the end":    ok + "\r",
		"CR inside":        strings.Replace(ok, ",", ",\r", 1),
		"space at the end": ok + " ",
		"bad escape":       strings.Replace(ok, "1}", `"\x"}`, 1),
		"escaped end":      strings.Replace(ok, "1}", `"\"}`, 1),
		"comma in seq":     strings.Replace(ok, ":1,", ":1,2,", 1),
		"nothing more":     `{"seq":1,"prev":"` + prev + `",}`,
		"repeated prev":    strings.Replace(ok, `"a":1`, `"prev":"x"`, 1),
		"NUL":              strings.Replace(ok, "1}", "1\x00}", 1),
		"leading zero":     strings.Replace(ok, ":1,", ":01,", 1),
		"negative":         strings.Replace(ok, ":1,", ":-1,", 1),
		"too large":        strings.Replace(ok, ":1,", ":18446744073709551616,", 1),
		"short prev":       strings.Replace(ok, "A=", "=", 1),
		"loose base64":     strings.Replace(ok, "A=", "B=", 1),
		"repeated key":     strings.Replace(ok, `"a":1`, `"a":1,"a":1`, 1),
		"repeated seq":     strings.Replace(ok, `"a":1`, `"a":1,"seq":1`, 1),
		"escaped repeat":   strings.Replace(ok, `"a":1`, `"a":1,"\u0061":1`, 1),
		"nested repeat":    strings.Replace(ok, `1}`, `[{"b":{},"c":"}","b":"\""}]}`, 1),
		"two objects":      ok + ok,
		"no JSON":          strings.Replace(ok, "1}", "x}", 1),
		"too long":         strings.Replace(ok, "1}", strings.Repeat("1", 1<<20)+"}", 1),
		"too many keys":    strings.Replace(ok, `"a":1`, `"a":{`+manyKeys(600)+`}`, 1),
	} {
		if _, _, good := ledger.ParseLine([]byte(line)); good {
			t.Errorf("%s: taken", name)
		}
	}
	for c := range 256 { // each byte within a text, where JSON lets fewer stand than we refuse
		line := strings.Replace(ok, "1}", `"`+string([]byte{byte(c)})+`"}`, 1)
		want := c >= 0x20 && c != 0x7f && c != '"' && c != '\\'
		if _, _, good := ledger.ParseLine([]byte(line)); good != want {
			t.Errorf("byte %#x in a text: taken %t, want %t", c, good, want)
		}
	}
	same := strings.Replace(ok, `1}`, `{"a":"\"a\":","b":[{"a":1},{"a":2}]},"b":"{"}`, 1)
	if _, _, good := ledger.ParseLine([]byte(same)); !good {
		t.Error("one key in different objects is refused")
	}
}

func manyKeys(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"%d":1`, i)
	}
	return strings.Join(keys, ",")
}

func TestCutTailNeedsKnownHead(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	write(t, l, "a", "b", "c")
	known := l.Head()
	write(t, l, "d")
	_ = l.Close()
	lines := split(read(t, dir))
	verify := func(data []byte, c ledger.VerifyConfig) error {
		_, err := ledger.Verify(context.Background(), fsOf(data), c)
		return err
	}
	with := ledger.VerifyConfig{Known: &known}
	if err := verify(join(lines), with); err != nil {
		t.Errorf("a longer log with the known head: %v", err)
	}
	if err := verify(join(lines[:3]), ledger.VerifyConfig{}); err != nil {
		t.Errorf("the documented limit has moved: %v", err)
	}
	one := func(data []byte, want ledger.Problem) {
		t.Helper()
		var te *ledger.TamperError
		if !errors.As(verify(data, with), &te) {
			t.Errorf("%v not found", want)
			return
		}
		want.Segment = segment
		checkEqual(t, te.Problems, []ledger.Problem{want})
	}
	one(join(lines[:3]), ledger.Problem{Kind: ledger.KindTruncated, From: 3, To: 3, Line: 3, Offset: int64(len(join(lines[:2])))})
	one(nil, ledger.Problem{Kind: ledger.KindTruncated, From: 0, To: 3})
	other := sample(t, 4)
	one(join(other), ledger.Problem{Kind: ledger.KindRewritten, From: 0, To: 3, Line: 1})
	lines[2] = bytes.Replace(lines[2], []byte("success"), []byte("failure"), 1)
	one(join(lines), ledger.Problem{Kind: ledger.KindAltered, From: 2, To: 2, Line: 3, Offset: int64(len(join(lines[:2])))})
}

func TestEventsReportsBadLines(t *testing.T) {
	lines := sample(t, 2)
	for name, data := range map[string][]byte{
		"garbage": join([][]byte{lines[0], []byte("garbage")}),
		"event":   join([][]byte{lines[0], bytes.Replace(lines[1], []byte(`"time":"0`), []byte(`"time":"x`), 1)}),
	} {
		n := 0
		for _, err := range ledger.Events(fsOf(data)) {
			n++
			checkIs(t, err, ledger.ErrFormat)
		}
		if n != 1 {
			t.Errorf("%s: %d results, want 1 error", name, n)
		}
	}
	for _, err := range ledger.Events(fstest.MapFS{}) {
		checkIs(t, err, fs.ErrNotExist)
	}
	_, err := ledger.Verify(context.Background(), fstest.MapFS{}, ledger.VerifyConfig{})
	checkIs(t, err, fs.ErrNotExist)
}

func TestVerifyIsBounded(t *testing.T) {
	garbage := bytes.Repeat([]byte("x\n{\"seq\":7}\n"), 20_000)
	r, err := ledger.Verify(context.Background(), fsOf(garbage), ledger.VerifyConfig{})
	checkIs(t, err, ledger.ErrTampered)
	if len(r.Problems) > 1000 {
		t.Errorf("%d problems", len(r.Problems))
	}
	prev := strings.Repeat("A", 43) + "="
	var many bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&many, `{"seq":%d,"prev":"%s","a":1}`+"\n", i*7%5000, prev)
	}
	r, err = ledger.Verify(context.Background(), fsOf(many.Bytes()), ledger.VerifyConfig{})
	checkIs(t, err, ledger.ErrTampered)
	if len(r.Problems) > 1000 {
		t.Errorf("%d problems", len(r.Problems))
	}
}

func TestHashText(t *testing.T) {
	h := ledger.TreeRoot(nil)
	text, _ := h.MarshalText()
	var back ledger.Hash
	if err := back.UnmarshalText(text); err != nil || back != h || h.String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Errorf("%s, %v", h, err)
	}
	checkIs(t, back.UnmarshalText([]byte("x")), ledger.ErrFormat)
	if got := ledger.Kind(99).String(); got != "Kind(99)" {
		t.Errorf("got %s", got)
	}
}
