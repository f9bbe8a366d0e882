package ledger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Open opens the log in dir. It creates the directory and the log if they do
// not exist, with the modes 0700 and 0600. It reads the last segment or, with
// Known, the whole log. It saves and removes a tail that a crash has torn, see
// [Ledger.Recovered].
//
// With a Signer, Open seals a new log at once. It continues an existing log
// only if [Config.Mark] agrees with the log, so that the key never seals a log
// that was changed, cut or replaced while it was closed.
//
// Dir may be a symbolic link. Links in the directory are not followed.
//
// Errors:
//
//   - the error of [Config.Validate];
//   - [ErrLocked];
//   - a [*TamperError] if the log differs from the mark, from Known or from its
//     own hashes;
//   - [ErrTampered] if the mark is missing, or if another key is in office;
//   - [ErrFormat] for a log with another origin or version, and for a file or
//     directory that all users can write;
//   - errors.ErrUnsupported on systems without flock;
//   - the errors of the signer and the file system;
//   - ctx.Err() and context.Cause(ctx) if ctx is done.
func Open(ctx context.Context, dir string, c Config) (*Ledger, error) {
	return openOn(ctx, osStorage{}, dir, c)
}

func openOn(ctx context.Context, files storage, dir string, c Config) (*Ledger, error) {
	if err := errors.Join(c.Validate(), done(ctx, "open")); err != nil {
		return nil, err
	}
	if err := c.Sync.makeDir(dir); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		dir: dir, config: c, files: files, unlock: lock,
		sealing: make(turn, 1), anchoring: make(turn, 1),
	}
	l.config.MaxSize = cmp.Or(c.MaxSize, defaultMaxSize)
	l.config.CheckpointEvery = cmp.Or(c.CheckpointEvery, defaultCheckpointEvery)
	l.config.CheckpointDelay = cmp.Or(c.CheckpointDelay, defaultCheckpointDelay)
	if err := l.open(ctx); err != nil {
		if l.f != nil {
			_ = l.f.Close()
		}
		_ = lock.Close()
		l.deliver()
		return nil, err
	}
	var background context.Context
	background, l.endChores = context.WithCancel(context.Background())
	l.newChores(background)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remind()
	return l, nil
}

// open reads the directory or creates a log in it. It changes nothing before
// all checks have passed.
func (l *Ledger) open(ctx context.Context) error {
	fsys := os.DirFS(l.dir)
	segs, err := segments(fsys)
	if err != nil {
		return err
	}
	var mark Checkpoint
	var noMark error
	if l.config.Signer != nil {
		if mark, noMark, err = l.readMark(); err != nil {
			return err
		}
	}
	l.segs = segs
	tail, headless, err := l.resume(ctx, mark)
	if err != nil {
		return err
	}
	if err := l.compare(ctx, fsys, tail, mark, noMark); err != nil {
		return err
	}
	if err := l.repair(headless); err != nil {
		return fmt.Errorf("ledger: recover: %w", err)
	}
	if err := l.start(); err != nil {
		return err
	}
	l.config.Name = cmp.Or(l.config.Name, l.config.Origin)
	l.counters.size.Store(l.at.tree.size)
	if l.at.tree.size == 1 { // only a header may be without a mark
		if err := l.takeOffice(ctx); err != nil {
			return err
		}
	}
	if r := l.recovered; r.Saved != "" {
		if err := l.service("recovered", fmt.Sprintf(`"bytes":%d,"sha256":"%s","saved":"%s"`, r.Bytes, r.SHA256, r.Saved)); err != nil {
			return err
		}
	}
	return l.takeOffice(ctx)
}

// takeOffice seals the log if Signer has not sealed it yet.
func (l *Ledger) takeOffice(ctx context.Context) error {
	if l.config.Signer == nil || l.last.Note != "" && l.sealedBySigner() {
		return nil
	}
	_, _, err := l.seal(ctx)
	return err
}

// start creates the first segment of a new log, or syncs the segment that
// another process has left.
func (l *Ledger) start() error {
	if l.config.Signer != nil {
		if err := l.newSecret(); err != nil {
			return err
		}
	}
	if len(l.segs) > 0 {
		l.unsynced = true
		return errors.Join(l.settle(), l.syncDir(l.path))
	}
	l.log, l.config.Origin = rand.Text(), l.config.origin()
	if l.config.Signer != nil {
		l.office = l.config.Signer.v.String()
	}
	return l.begin()
}

// resume reads the end of the log: the segments from the record before the mark
// on, otherwise the last segment. It returns the state of the end of the last
// segment, and the segments without a complete header, which a crash during a
// rotation leaves.
func (l *Ledger) resume(ctx context.Context, mark Checkpoint) (tail tailState, headless []string, err error) {
	for len(l.segs) > 0 {
		n := len(l.segs)
		from := n - 1
		for mark.Size > 0 && from > 0 && l.segs[from] >= mark.Size {
			from--
		}
		s := scan{l: l, mark: mark}
		for i := from; i < n && err == nil; i++ {
			if tail, err = s.segment(ctx, i); tail != clean && i < n-1 {
				tail = tampered // only the last segment may be torn
			}
			if tail == tampered {
				break
			}
		}
		if err == nil && tail != tampered && s.behind() {
			if l.segs[n-1] >= s.vouched.tree.size && l.at.off > 0 {
				return tampered, headless, nil // also the header
			}
			l.unsealed -= int(l.at.tree.size - s.vouched.tree.size)
			l.at = s.vouched // the lines after it are no complete commit
		}
		if err != nil || tail == tampered || l.at.off > 0 {
			return tail, headless, err
		}
		headless = append(headless, l.path)
		l.segs = l.segs[:n-1]
	}
	return clean, headless, nil
}

// A scan reads segments one after the other.
type scan struct {
	l       *Ledger
	mark    Checkpoint
	started bool
	vouched position // up to which the mark or a MAC covers the lines
	p       objectParser
}

// behind reports whether lines follow that neither the mark nor a MAC covers.
func (s *scan) behind() bool {
	return s.l.secret != nil && s.vouched.tree.size > 0 && s.vouched.tree.size < s.l.at.tree.size
}

// segment reads segment i to its end or its first fault. It leaves the segment
// open in l.f, and sets l.at.
func (s *scan) segment(ctx context.Context, i int) (tailState, error) {
	l := s.l
	l.path = filepath.Join(l.dir, segmentName(l.segs[i]))
	f, err := l.files.Open(l.path)
	if err != nil {
		return clean, fmt.Errorf("ledger: %w", err)
	}
	if l.f != nil {
		_ = l.f.Close()
	}
	l.f, l.at.off = f, 0
	lr := newLineReader(io.NewSectionReader(f, 0, 1<<62))
	for {
		line, whole, err := lr.read()
		if errors.Is(err, io.EOF) {
			return clean, nil
		}
		if err != nil {
			return clean, fmt.Errorf("ledger: read: %w", err)
		}
		if lr.no%1024 == 0 {
			if err := done(ctx, "read"); err != nil {
				return clean, err
			}
		}
		if !whole || bytes.IndexByte(line, 0) >= 0 {
			return tornOrWorse(lr)
		}
		seq, prev, ok := s.p.parseLine(line)
		if ok && lr.no == 1 {
			if err := l.adopt(line, seq, prev, l.segs[i], s.started); err != nil {
				return clean, err
			}
			s.started = true
		}
		if !ok || seq != l.at.tree.size || prev != l.at.prev || !s.seal(line) {
			return tampered, nil
		}
		l.at.add(line)
		if l.at.tree.size == s.mark.Size && l.at.tree.root() != s.mark.Root {
			return tampered, nil
		}
		if l.secret != nil && l.at.tree.size >= s.mark.Size && (l.at.tree.size == s.mark.Size || l.authentic(line)) {
			s.vouched = l.at
		}
		if l.unsealed++; isService(line, "checkpoint") && !s.behind() {
			s.take(line, seq)
		}
	}
}

// seal reports whether the line is no checkpoint, or a checkpoint that may be
// at its place: the mark is durable before the checkpoint.
func (s *scan) seal(line []byte) bool {
	if s.mark.Size == 0 || s.l.at.tree.size < s.mark.Size || !isService(line, "checkpoint") {
		return true
	}
	cp, _, err := openCheckpoint(noteOf(line), nil)
	return err == nil && cp.Head == s.mark.Head
}

// take takes a checkpoint of Signer or Previous.
func (s *scan) take(line []byte, seq uint64) {
	cp, _, err := openCheckpoint(noteOf(line), nil)
	if err == nil && cp.Size <= seq {
		s.l.takeSeal(cp, seq)
	}
}

// adopt takes the state of the log from the header of a segment, or compares
// the header with the state.
func (l *Ledger) adopt(line []byte, seq uint64, prev Hash, first uint64, started bool) error {
	h, ok := parseHeader(line)
	t, fits := newTree(seq, h.Range)
	switch c := l.config; {
	case !ok:
		return formatError("first line is not the header of a version %d log", version)
	case (c.Origin != "" || c.Signer != nil) && c.origin() != h.Origin:
		return formatError("log has the origin %s, want %s", quote.Text(h.Origin), quote.Text(c.origin()))
	case !fits || seq != first || !isOrigin(h.Origin) || h.Log == "":
		return tamperError("header of %s does not fit", segmentName(first))
	case started && (seq != l.at.tree.size || t.root() != l.at.tree.root() || h.Log != l.log || h.Key != l.office || h.Handover != l.handover):
		return tamperError("header of %s does not continue the log", segmentName(first))
	}
	l.born = h.Time
	if started {
		return nil
	}
	l.config.Origin, l.log, l.office, l.handover = h.Origin, h.Log, h.Key, h.Handover
	l.at, l.unsealed, l.last = position{tree: t}, 0, Checkpoint{}
	if seq > 0 {
		l.at.prev = prev
	}
	return nil
}

// compare compares the log with the mark and with Known, and with the keys.
func (l *Ledger) compare(ctx context.Context, fsys fs.FS, tail tailState, mark Checkpoint, noMark error) error {
	head, known := l.at.tree.head(), l.config.Known
	switch {
	case mark.Size > 0 && len(l.segs) > 0 && l.segs[0] >= mark.Size:
		return tamperError("mark of %d records is older than the log", mark.Size)
	case tail == tampered:
		// The scan does not know the kind of the problem. Verify does.
		if err := l.accuse(ctx, fsys, -1, mark.Head); err != nil {
			return err
		}
		return tamperError("log is inconsistent with its last checkpoints")
	case head.Size < mark.Size:
		return l.accuse(ctx, fsys, l.at.off, mark.Head)
	case known != nil:
		if err := l.accuse(ctx, fsys, l.at.off, *known); err != nil {
			return err
		}
		if *known == head {
			return nil // adopted
		}
	}
	inOffice := func(k *Verifier) bool { return k.String() == l.office }
	switch {
	case l.config.Signer == nil || len(l.segs) == 0:
	case noMark != nil && head.Size > 1: // a crash can leave a header without a mark
		return tamperError("%v, and the log has %d records; Config.Known adopts a log", noMark, head.Size)
	case l.office != "" && !slices.ContainsFunc(l.config.keys(), inOffice):
		return tamperError("log is sealed by %s, want Signer or Previous", quote.Text(l.office))
	}
	return nil
}

// accuse verifies the log up to limit bytes of its last segment.
func (l *Ledger) accuse(ctx context.Context, fsys fs.FS, limit int64, known Head) error {
	c := VerifyConfig{Pruned: true}
	if known.Size > 0 {
		c.Known = &known
	}
	if len(l.segs) == 0 && known.Size > 0 {
		return &TamperError{Problems: []Problem{{Kind: KindTruncated, To: known.Size - 1, Segment: segmentName(0)}}}
	}
	if len(l.segs) == 0 {
		return nil
	}
	_, err := verifyLog(ctx, fsys, l.segs, limit, c)
	return err
}

// repair saves and removes the bytes after the last good record, and the
// segments without a header.
func (l *Ledger) repair(headless []string) error {
	for _, path := range headless {
		f, err := l.files.Open(path)
		if err != nil {
			return err
		}
		err = l.cutTail(f, path, 0)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err := errors.Join(l.files.Remove(path), l.syncDir(path)); err != nil {
			return err
		}
	}
	if len(l.segs) == 0 {
		return nil
	}
	return l.cutTail(l.f, l.path, l.at.off)
}

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

// tornOrWorse distinguishes a torn tail from tampering. If a later commit began
// when all lines before it were durable, no crash has left a hole here.
func tornOrWorse(lr *lineReader) (tailState, error) {
	for {
		line, whole, err := lr.read()
		switch {
		case errors.Is(err, io.EOF):
			return torn, nil
		case err != nil:
			return clean, fmt.Errorf("ledger: read: %w", err)
		}
		if _, _, ok := parseLine(line); ok && whole && bytes.HasSuffix(line, []byte(syncedPart)) {
			return tampered, nil
		}
	}
}

// cutTail saves and removes the bytes after the last good record of a segment.
// The name of the saved file contains its place and content, so that another
// recovery after a crash in cutTail writes the same file.
func (l *Ledger) cutTail(f file, path string, off int64) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	size := st.Size() - off
	if size == 0 {
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, off, size)); err != nil {
		return err
	}
	digest := fmt.Sprintf("%x", sum.Sum(nil))
	segment := strings.TrimSuffix(filepath.Base(path), ".jsonl")
	name := fmt.Sprintf("torn-%s-%d-%s", strings.TrimLeft(segment[:len(segment)-1], "0")+segment[len(segment)-1:], off, digest[:16])
	if err := l.replace(filepath.Join(l.dir, name), io.NewSectionReader(f, off, size)); err != nil {
		return err
	}
	l.recovered = Recovery{Bytes: size, SHA256: digest, Saved: name}
	return errors.Join(f.Truncate(off), l.config.Sync.file(f))
}
