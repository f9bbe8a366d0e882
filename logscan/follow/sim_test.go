package follow_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

var (
	schedules = flag.Int("schedules", 10_000, "schedules of the simulation")
	firstSeed = flag.Uint64("seed", 0, "first schedule of the simulation")
	trace     = flag.Bool("trace", false, "print the schedule")
)

// A world is a disk, a writer, a rotation, and what a follower has delivered.
type world struct {
	*disk
	r      *rand.Rand
	target string // the name into which the writer writes
	linked bool   // "log" is a link to a link to target
	style  string // of the names of rotated files
	keep   int    // rotated files that are kept
	header bool   // files begin alike, with more than a KiB
	chance int    // of a step, that something happens: 1 in chance
	copies bool   // rotation copies and cuts, and does not rename
	kills  bool
	begun  bool // the first line was delivered

	fd      *inode   // of the writer
	half    string   // rest of a line that was written in part
	rotated []string // names, the oldest first
	tasks   []func() // the next steps of operations in progress
	stamp   int
	moved   int // looks when the link was switched
	saved   int // looks at the latest checkpoint
	born    int // files created, and at the latest checkpoint
	known   int

	lines     []line
	looks     int // rounds in which the follower has looked at everything
	faulted   bool
	restarted bool
	churned   bool // a name has changed since the last look
	faults    int
	fault     error
	quiet     time.Time // when the events have ended
	budget    int       // events left
	cancel    context.CancelFunc
}

type line struct {
	late    bool // written into a file that no longer had the name
	written int  // looks
	gone    int  // looks when it was gone from the disk; -1: it is there
	cut     bool // gone by a cut
	got     int  // deliveries
	allowed int  // deliveries that may be repeated
	waived  bool // not owed
	born    int  // number of its file
	killed  bool // not delivered before a kill, and gone at the next look
	unknown bool // the checkpoint does not know its file
	text    string
}

// exercised counts what the schedules contained.
var exercised = map[string]int{}

func (w *world) logf(format string, args ...any) {
	if *trace {
		fmt.Printf("%8d  "+format+"\n", append([]any{time.Now().UnixMilli() % 1e8}, args...)...)
	}
}

// text returns the next line.
func (w *world) text(n *inode) string {
	late := n != w.fd
	text := fmt.Sprintf("%d %s\n", len(w.lines), strings.Repeat("x", w.r.IntN(30)))
	w.lines = append(w.lines, line{late: late, written: w.looks, gone: -1, text: text, born: n.born})
	return text
}

// wrote notes that the last line of n is complete.
func (w *world) wrote(n *inode, i int) {
	n.lines = append(n.lines, i)
	w.lines[i].written = w.looks
	w.touch(n)
}

func (w *world) write(n *inode) {
	s := w.text(n)
	n.data = append(n.data, s...)
	w.wrote(n, len(w.lines)-1)
	w.logf("write %d to inode %d", len(w.lines)-1, n.ino)
	exercised["append"]++
}

func (w *world) finish() {
	if w.half != "" {
		w.fd.data = append(w.fd.data, w.half...)
		i, _ := strconv.Atoi(strings.Fields(string(w.fd.data[bytes.LastIndexByte(w.fd.data[:len(w.fd.data)-1], '\n')+1:]))[0])
		w.half = ""
		w.wrote(w.fd, i)
		w.logf("finish line %d", i)
	}
}

// lost notes the lines of n that are on the disk no more.
func (w *world) lost(n *inode, cut bool) {
	for _, i := range n.lines {
		there := false
		for _, o := range w.names {
			there = there || o != n && slices.Contains(o.lines, i)
		}
		if l := &w.lines[i]; !there && l.gone < 0 {
			l.gone, l.cut = w.looks, cut
		}
	}
}

func (w *world) drop(name string) {
	if n := w.names[name]; n != nil {
		w.logf("remove %s (inode %d)", name, n.ino)
		w.lost(n, false)
		w.remove(name)
	}
}

func (w *world) newFile() {
	exercised["create"]++
	w.fd = w.create(w.target)
	w.logf("create %s: inode %d", w.target, w.fd.ino)
	if w.header {
		w.fd.data = append(w.fd.data, strings.Repeat("h", 1200)+"\n"...)
		w.write(w.fd) // files that are equal cannot be told apart
	}
}

// newName returns the name of the next rotated file, after shifting the others.
func (w *world) newName() string {
	w.stamp++
	switch w.style {
	case "shift":
		for i := len(w.rotated); i > 0; i-- { // the oldest first
			from := w.rotated[len(w.rotated)-i]
			if !strings.HasPrefix(from, w.target+".") {
				continue // of the target before
			}
			base, ext := from, ""
			if isPacked(from) {
				ext = path.Ext(from)
				base = strings.TrimSuffix(from, ext)
			}
			n, _ := strconv.Atoi(strings.TrimPrefix(path.Ext(base), "."))
			to := fmt.Sprintf("%s.%d%s", strings.TrimSuffix(base, path.Ext(base)), n+1, ext)
			w.rename(from, to)
			w.rotated[len(w.rotated)-i] = to
		}
		return w.target + ".1"
	case "date":
		return fmt.Sprintf("%s-202611%04d", w.target, w.stamp)
	default:
		return fmt.Sprintf("%s.20261129-%06d", w.target, w.stamp)
	}
}

func (w *world) retire() {
	for len(w.rotated) > w.keep {
		w.drop(w.rotated[0])
		w.rotated = w.rotated[1:]
	}
}

func (w *world) later(tasks ...func()) { w.tasks = append(w.tasks, tasks...) }

// rotate renames the file. The writer may go on with the old file for a while.
func (w *world) rotate(slow bool) {
	if w.r.IntN(4) > 0 {
		w.finish()
	}
	name := w.newName()
	w.logf("rename %s to %s (inode %d)", w.target, name, w.fd.ino)
	exercised["rename, "+w.style]++
	w.rename(w.target, name)
	w.rotated = append(w.rotated, name)
	old := w.fd
	rest := w.half
	w.half = ""
	at := time.Now()
	late := func() {
		if time.Since(at) > 1500*time.Millisecond { // Linger may be over
			defer func() {
				for _, i := range old.lines[max(len(old.lines)-2, 0):] {
					w.lines[i].waived = w.lines[i].late
				}
			}()
		}
		if rest != "" {
			old.data = append(old.data, rest...)
			i, _ := strconv.Atoi(strings.Fields(string(old.data[bytes.LastIndexByte(old.data[:len(old.data)-1], '\n')+1:]))[0])
			w.lines[i].late = true
			w.wrote(old, i)
			if !old.named {
				w.lost(old, false)
			}
			w.logf("finish line %d late", i)
			rest = ""
		}
		if w.r.IntN(2) == 0 {
			w.write(old)
			w.lines[len(w.lines)-1].late = true
			if !old.named {
				w.lost(old, false)
			}
		}
	}
	if slow {
		w.fd = nil
		w.later(func() { w.newFile() }, late)
	} else {
		w.newFile()
		w.later(late)
	}
	w.retire()
}

// pack begins to pack a rotated file.
func (w *world) pack() {
	var plain []int
	for i, name := range w.rotated {
		if !isPacked(name) && !strings.HasSuffix(name, ".log") && w.names[name] != nil && w.names[name+".tmp"] == nil {
			plain = append(plain, i)
		}
	}
	if len(plain) == 0 {
		return
	}
	name := w.rotated[plain[0]]
	ext := formats[w.r.IntN(len(formats))]
	src := w.names[name]
	data, lines, at := bytes.Clone(src.data), slices.Clone(src.lines), src.at
	text := packed(ext, data)
	tmp := name + ext
	if w.style == "stamp" {
		tmp = name + ".tmp" // as the kubelet does
		exercised["pack in the order of the kubelet"]++
	}
	dst := w.create(tmp)
	w.logf("pack %s to %s (inode %d)", name, tmp, dst.ino)
	exercised["pack "+ext]++
	dst.data = text[:len(text)/2]
	w.later(func() {
		if w.names[name] != src || w.names[tmp] != dst { // shifted meanwhile
			w.logf("pack of %s given up", name)
			if w.names[tmp] == dst {
				w.drop(tmp)
			}
			return
		}
		dst.data = text
		if w.r.IntN(2) == 0 && w.style != "stamp" {
			dst.at = at
		} else {
			w.touch(dst)
		}
		if !bytes.Equal(src.data, data) { // written meanwhile: lost with the source
			lines = slices.DeleteFunc(lines, func(int) bool { return false })
		}
		dst.lines, dst.short = lines, src.short
		if w.style == "stamp" {
			w.rename(tmp, name+ext)
		}
		w.later(func() {
			if w.names[name] == src {
				w.logf("packed %s", name)
				w.drop(name)
			}
			if i := slices.Index(w.rotated, name); i >= 0 {
				w.rotated[i] = name + ext
			}
		})
	})
}

// copyTruncate copies the file and cuts it later.
func (w *world) copyTruncate(copied bool) {
	w.finish()
	fd := w.fd
	w.rotatedCopy(copied)
	w.later(func() {
		if w.fd != fd {
			return
		}
		w.finish()
		w.logf("cut inode %d", fd.ino)
		exercised["copytruncate"]++
		w.churned = true
		lines := fd.lines
		fd.lines = nil
		// Nothing shows a cut of a file of which nothing was read.
		seen := slices.ContainsFunc(lines, func(i int) bool { return w.lines[i].got > 0 })
		w.lost(&inode{lines: lines}, seen)
		fd.data = nil
		w.touch(fd)
	})
}

func (w *world) rotatedCopy(copied bool) {
	if !copied {
		return
	}
	name := w.newName()
	n := w.create(name)
	n.data, n.lines = bytes.Clone(w.fd.data), slices.Clone(w.fd.lines)
	if len(n.data) < 32 {
		n.short = n.lines
	}
	w.rotated = append(w.rotated, name)
	w.logf("copy to %s: inode %d", name, n.ino)
	w.retire()
}

// recreate removes the file and creates it again.
func (w *world) recreate() {
	exercised["delete and recreate"]++
	w.finish()
	w.drop(w.target)
	w.newFile()
}

// move switches the link to a new target.
func (w *world) move() {
	w.finish()
	n, _ := strconv.Atoi(strings.TrimSuffix(path.Base(w.target), ".log"))
	w.rotated = append(w.rotated, w.target)
	w.target = fmt.Sprintf("pods/%d.log", n+1)
	w.newFile()
	w.logf("link to %s", w.target)
	exercised["switch of a link"]++
	w.names["pods/link"].link = w.target
}

// event lets something happen.
func (w *world) event() {
	w.budget--
	if len(w.tasks) > 0 && w.r.IntN(2) == 0 {
		task := w.tasks[0]
		w.tasks = w.tasks[1:]
		task()
		return
	}
	if w.fd == nil {
		return
	}
	switch w.r.IntN(16) {
	case 0, 1, 2, 3:
		w.finish()
		for range 1 + w.r.IntN(3) {
			w.write(w.fd)
		}
	case 4:
		w.finish()
		s := w.text(w.fd)
		cut := 1 + strings.IndexByte(s, ' ')
		w.fd.data = append(w.fd.data, s[:cut]...)
		w.touch(w.fd)
		w.half = s[cut:]
		w.logf("half of line %d", len(w.lines)-1)
		exercised["half line"]++
	case 5, 6:
		if len(w.tasks) == 0 && !w.copies {
			w.rotate(w.r.IntN(2) == 0)
		}
	case 7:
		if len(w.tasks) == 0 {
			w.pack()
		}
	case 8:
		if len(w.tasks) == 0 && w.copies {
			w.copyTruncate(w.r.IntN(4) > 0)
		}
	case 9:
		if len(w.tasks) == 0 && !w.copies {
			w.recreate()
		}
	case 10:
		if w.faults == 0 {
			w.faults, w.fault = 1+w.r.IntN(5), faults[w.r.IntN(len(faults))]
			w.logf("%d faults: %v", w.faults, w.fault)
		}
	case 11:
		name := fmt.Sprintf("%s.%d", w.target, 900+w.r.IntN(3))
		if w.names[name] == nil {
			n := w.create(name)
			switch w.r.IntN(3) {
			case 0:
				n.mode = fs.ModeDir
				exercised["directory in the way"]++
			case 1:
				n.mode = fs.ModeNamedPipe
				exercised["FIFO in the way"]++
			default:
				exercised["checkpoint in the way"]++
				n.data = []byte("follow-checkpoint v2 w4:2c8b08da5ce60398e1f19af0e5dccc74:0:0:0:00000000000000000000000000000000\n")
			}
			w.logf("junk %s", name)
		}
	case 12:
		if w.linked && len(w.tasks) == 0 && !w.copies && w.looks >= w.moved+6 && (!w.kills || w.saved > w.moved+2) { // targets between two looks cannot be found
			w.moved = w.looks
			w.move()
		}
	case 13:
		time.Sleep(time.Duration(w.r.IntN(400)) * time.Millisecond)
	case 14:
		if len(w.tasks) == 0 {
			time.Sleep(time.Duration(w.r.IntN(4000)) * time.Millisecond)
		}
	case 15:
		if w.kills && w.r.IntN(3) == 0 {
			w.logf("kill")
			exercised["kill"]++
			panic(errKilled)
		}
	}
}

// settle ends the events: operations in progress are completed.
func (w *world) settle() {
	w.faults = 0
	for len(w.tasks) > 0 {
		task := w.tasks[0]
		w.tasks = w.tasks[1:]
		task()
	}
	w.finish()
	w.logf("quiet")
	w.quiet = time.Now()
}

func (w *world) create(name string) *inode {
	w.churned = true
	n := w.disk.create(name)
	w.born++
	n.born = w.born
	if n.reused {
		exercised["inode used again"]++
	}
	return n
}

func (w *world) rename(from, to string) {
	w.churned = true
	w.disk.rename(from, to)
}

func (w *world) remove(name string) {
	w.churned = true
	w.disk.remove(name)
}

func (w *world) onStep(string) {
	if w.begun && w.quiet.IsZero() && w.r.IntN(w.chance) == 0 {
		w.event()
	}
}

func (w *world) onFault(op string) error {
	if w.faults == 0 || op == "target" {
		return nil
	}
	w.faults--
	w.faulted = true
	w.logf("%s fails", op)
	exercised["fault: "+w.fault.Error()]++
	return w.fault
}

func (w *world) onPause() {
	if !w.faulted && !w.churned { // nothing was renamed while the follower looked
		for i := range w.lines { // lines that are still there are owed
			l := &w.lines[i]
			l.killed = l.killed && (l.gone >= 0 || !w.restarted)
		}
		w.restarted = false
		w.looks++
	}
	w.faulted, w.churned = false, false
	defer func() { w.churned = false }()
	if !w.quiet.IsZero() {
		if time.Since(w.quiet) > 6*time.Second {
			w.cancel()
		}
		return
	}
	if w.budget <= 0 {
		w.settle()
		return
	}
	for range w.r.IntN(4) {
		w.event()
	}
}

// simulate runs one schedule and returns the first violation. Oracle: the lines
// that the writer has written, and when they were gone from the disk.
func simulate(t *testing.T, seed uint64, broken func(follow.Follower) follow.Follower) (problem string) {
	time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour))) // a schedule does not depend on the schedule before
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{disk: newDisk(), r: r, target: "log", budget: 30 + r.IntN(60), keep: 2 + r.IntN(6), chance: 6 + r.IntN(60)}
	w.style = []string{"shift", "date", "stamp"}[r.IntN(3)]
	w.header = r.IntN(4) == 0
	w.kills = r.IntN(2) == 0
	w.kills = w.kills && !w.header // no checkpoint can tell apart what begins alike
	w.copies = r.IntN(3) == 0
	if r.IntN(3) == 0 {
		w.grain = 2 * time.Second
		exercised["equal times"]++
	}
	if r.IntN(4) == 0 {
		w.linked, w.target = true, "pods/0.log"
		exercised["link to a link"]++
		w.create("log").link = "pods/link"
		w.create("pods/link").link = w.target
	}
	for i := range r.IntN(3) { // files of an earlier time
		name := w.newName()
		n := w.create(name)
		n.data = fmt.Appendf(n.data, "old %d\n", i)
		w.rotated = append(w.rotated, name)
		time.Sleep(time.Second)
	}
	w.newFile()
	w.write(w.fd)
	f := follow.Follower{Path: "log", Scanner: logscan.Scanner{Decoders: decoders()}}.On(w.disk).OnPause(w.onPause)
	if broken != nil {
		f = broken(f)
	}
	if *trace {
		f.OnEvent = func(_ context.Context, e follow.Event) {
			w.logf("  event %v %s %d %d %v", e.Kind, e.Source, e.Offset, e.Lost, e.Err)
		}
		fmt.Printf("seed %d: style %s copies %v keep %d header %v kills %v grain %v linked %v chance %d\n", seed, w.style, w.copies, w.keep, w.header, w.kills, w.grain, w.linked, w.chance)
	}
	gaps, after, rests := 0, 0, map[string]bool{}
	for run := 0; problem == "" && run < 50; run++ {
		ctx, cancel := context.WithCancel(t.Context())
		w.cancel = cancel
		w.step, w.err = w.onStep, w.onFault
		last, since := -1, []int(nil)
		killed := func() (killed bool) {
			defer func() {
				if e := recover(); e != nil {
					if e != errKilled {
						panic(e)
					}
					killed = true
				}
			}()
			for rec, err := range f.Records(ctx) {
				var gap *follow.GapError
				switch {
				case errors.As(err, &gap):
					gaps, after = gaps+1, after+1
				case err != nil: // told again by every outage
				case bytes.HasPrefix(rec.Line, []byte("h")):
				case bytes.HasPrefix(rec.Line, []byte("old")):
					problem = "an old file was read"
				default:
					number, _, _ := strings.Cut(string(rec.Line), " ")
					i, err := strconv.Atoi(number)
					if (err != nil || i >= len(w.lines)) && rests[string(rec.Line)] {
						continue
					}
					if err != nil || i >= len(w.lines) {
						problem = fmt.Sprintf("torn line %q", rec.Line)
						return false
					}
					l := &w.lines[i]
					w.logf("  got %d at %d", i, rec.Offset)
					if rec.Partial {
						l.waived = true // its end comes late, as a record
						rests[strings.TrimSuffix(l.text[len(rec.Line):], "\n")] = true
						continue
					}
					if l.got++; l.got > 1+l.allowed && !l.waived {
						problem = fmt.Sprintf("line %d came %d times", i, l.got)
						return false
					}
					if !l.late && i < last {
						problem = fmt.Sprintf("line %d came after line %d", i, last)
						return false
					}
					if !l.late {
						last = max(last, i)
					}
					w.begun = true
					since = append(since, i)
					if f.From == nil && run == 0 || w.r.IntN(2) == 0 {
						exercised["checkpoint"]++
						w.saved, w.known = w.looks, w.born
						c := rec.Checkpoint()
						f.From, since = &c, nil
					}
				}
				if problem != "" {
					return false
				}
			}
			return false
		}()
		cancel()
		if !killed {
			break
		}
		for _, n := range w.names {
			n.handles = 0
		}
		w.open = 0
		for _, i := range since {
			w.lines[i].allowed++
		}
		for i := range w.lines {
			l := &w.lines[i]
			l.killed = l.killed || l.got == 0
			l.unknown = l.unknown || l.got == 0 && l.born > w.known
		}
		after = 0
		w.faulted = true
		for range w.r.IntN(6) {
			w.budget--
			func() {
				defer func() { recover() }()
				w.event()
			}()
		}
		w.restarted = true
		for _, n := range w.names { // documented: a gap is told, and these lines may come again
			for _, i := range n.short {
				w.lines[i].allowed++
			}
		}
	}
	if problem != "" {
		return problem
	}
	cuts := false
	for i, l := range w.lines {
		if l.got > 0 || l.waived {
			continue
		}
		if l.killed && (after > 0 || l.unknown) {
			continue // removed before the first look, and told or not known
		}
		if l.gone < 0 || l.gone-l.written >= 2 {
			return fmt.Sprintf("line %d was lost: written at look %d, gone at %d, now %d", i, l.written, l.gone, w.looks)
		}
		cuts = cuts || l.cut
	}
	if cuts && gaps == 0 {
		return "lines were cut off, and no gap was reported"
	}
	if w.open != 0 {
		return fmt.Sprintf("%d files left open", w.open)
	}
	return ""
}

// TestSimulation runs schedules: see the flags in this file. Each part of a
// schedule must occur. With -v, it reports how often.
func TestSimulation(t *testing.T) {
	n := uint64(*schedules)
	if testing.Short() || raceEnabled {
		n = min(n, 1000)
	}
	synctest.Test(t, func(t *testing.T) {
		failed := 0
		for seed := *firstSeed; seed < *firstSeed+n; seed++ {
			if problem := simulate(t, seed, nil); problem != "" {
				t.Errorf("seed %d: %s", seed, problem)
				if failed++; failed == 60 {
					return
				}
			}
		}
	})
	parts := []string{
		"append", "half line", "create", "rename, shift", "rename, date", "rename, stamp", "copytruncate", "delete and recreate",
		"pack .gz", "pack .bz2", "pack .zst", "pack .xz", "pack in the order of the kubelet", "link to a link", "switch of a link",
		"inode used again", "equal times", "directory in the way", "FIFO in the way", "checkpoint in the way", "checkpoint", "kill",
	}
	for _, err := range faults {
		parts = append(parts, "fault: "+err.Error())
	}
	for _, part := range parts {
		t.Logf("%8d %s", exercised[part], part)
		if n >= 1000 && exercised[part] == 0 {
			t.Errorf("no schedule contains: %s", part)
		}
	}
}

// A follower that looks for rotated files in the wrong place loses lines.
func TestSimulationBites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkBites(t, 200, func(seed uint64) string {
			return simulate(t, seed, func(f follow.Follower) follow.Follower {
				f.Rotated = []string{"elsewhere"}
				return f
			})
		})
	})
}
