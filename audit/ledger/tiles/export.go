package tiles

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/quote"
)

const (
	checkpointName = "checkpoint"
	maxNote        = 1_000_000 // bytes
	maxLine        = 1 << 20   // bytes of a line of a log
)

// A fault matches a class of package ledger and has its own text.
type fault struct {
	text  string
	class error
}

func (e *fault) Error() string { return e.text }
func (e *fault) Unwrap() error { return e.class }

func formatError(format string, args ...any) error {
	return &fault{"tiles: " + fmt.Sprintf(format, args...), ledger.ErrFormat}
}

func tamperError(format string, args ...any) error {
	return &fault{"tiles: " + fmt.Sprintf(format, args...), ledger.ErrTampered}
}

// Anchor returns a function that exports the log in fsys for each checkpoint,
// for the field Anchor of [ledger.Config] or of a client of package witness.
func Anchor(fsys fs.FS, to Store) func(context.Context, ledger.Checkpoint) error {
	return func(ctx context.Context, cp ledger.Checkpoint) error { return Export(ctx, fsys, cp, to) }
}

// Export writes the tiles and the entries of the log in fsys up to cp, and then
// cp as the file "checkpoint". It verifies no signature, but the log must have
// the root of cp.
//
// An export continues the previous export in the same Store, and reads only the
// lines that are new and at most 64 MiB before them. So it also continues a
// pruned log. A checkpoint that is older than the previous export changes
// nothing. A Store has a single writer at a time.
//
// A line can be longer than 65,535 bytes, which is the limit of an entry. The
// 256 lines of its bundle are then written as text to tile/lines/<N> and not to
// tile/entries/<N>.
//
// Errors:
//
//   - ErrTampered of package ledger if the log differs from cp or from the
//     previous export;
//   - ErrFormat of package ledger if the Store contains another log;
//   - fs.ErrNotExist if lines are missing or were pruned;
//   - ctx.Err() and context.Cause(ctx), the errors of fsys and of the Store.
func Export(ctx context.Context, fsys fs.FS, cp ledger.Checkpoint, to Store) error {
	if parsed, err := parseCheckpoint(cp.Note); err != nil || parsed.Head != cp.Head || parsed.Origin != cp.Origin {
		return formatError("Note of the checkpoint is another checkpoint")
	}
	e := exporter{to: to}
	if err := e.restore(cp.Origin); err != nil {
		return err
	}
	if cp.Size < e.old.Size {
		return nil
	}
	if err := e.run(ctx, fsys, cp); err != nil {
		return err
	}
	return e.finish(cp)
}

// An exporter is an export at work.
type exporter struct {
	to       Store
	old      ledger.Checkpoint // of the previous export; empty if there is none
	tree     tree
	bundle   bundle
	obsolete []string // directories of partial tiles that are full now
}

// restore reads the state of the previous export, up to its last full bundle.
func (e *exporter) restore(origin string) error {
	note, err := e.to.ReadFile(checkpointName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	if e.old, err = parseCheckpoint(string(note)); err != nil {
		return err
	}
	if e.old.Origin != origin {
		return formatError("the store contains the log %s, want %s", quote.Text(e.old.Origin), quote.Text(origin))
	}
	for level := 1; level < maxLevels; level++ {
		width := edgeWidth(e.old.Size, level)
		if width == 0 {
			continue
		}
		name := tilePath(levelName(level), e.old.Size>>(tileHeight*(level+1)), width)
		data, err := e.to.ReadFile(name)
		if err != nil {
			return fmt.Errorf("tiles: %w", err)
		}
		hashes, ok := parseTile(data, width)
		if !ok {
			return tamperError("%s is malformed", name)
		}
		e.tree.edges[level] = hashes
	}
	e.tree.size = e.old.Size - e.old.Size%tileWidth
	return nil
}

// run reads the log up to cp and writes its full tiles.
func (e *exporter) run(ctx context.Context, fsys fs.FS, cp ledger.Checkpoint) error {
	for line, err := range lines(fsys, e.tree.size) {
		if e.tree.size == e.old.Size && e.old.Note != "" && e.tree.root() != e.old.Root {
			return tamperError("the log differs from the %d records that were exported", e.old.Size)
		}
		if e.tree.size == cp.Size {
			break
		}
		if err == nil && e.tree.size%tileWidth == 0 && ctx.Err() != nil {
			err = ctxerr.New(ctx, "tiles: export")
		}
		if err == nil {
			err = e.add(line)
		}
		if err != nil {
			return err
		}
	}
	if e.tree.root() != cp.Root {
		return tamperError("checkpoint of %d records does not fit the log", cp.Size)
	}
	return nil
}

// add appends a line.
func (e *exporter) add(line []byte) error {
	e.bundle.add(line)
	n := e.tree.size / tileWidth
	if len(e.bundle.ends) == tileWidth {
		if err := e.write(e.bundle.file(n)); err != nil {
			return err
		}
		e.bundle.reset()
	}
	return e.tree.push(leafHash(line), func(level int, n uint64, tile []ledger.Hash) error {
		if n == e.old.Size>>(tileHeight*(level+1)) { // this tile was partial
			e.obsolete = append(e.obsolete, tilePath(levelName(level), n, tileWidth)+".p")
			if level == 0 {
				e.obsolete = append(e.obsolete, tilePath("entries", n, tileWidth)+".p", tilePath("lines", n, tileWidth)+".p")
			}
		}
		return e.write(tilePath(levelName(level), n, tileWidth), tileBytes(tile))
	})
}

func (e *exporter) write(name string, data []byte) error {
	if err := e.to.WriteFile(name, data); err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	return nil
}

// finish writes the partial tiles and the checkpoint.
func (e *exporter) finish(cp ledger.Checkpoint) error {
	if len(e.bundle.ends) > 0 {
		if err := e.write(e.bundle.file(cp.Size / tileWidth)); err != nil {
			return err
		}
	}
	for level, edge := range e.tree.edges {
		if len(edge) == 0 {
			continue
		}
		if err := e.write(tilePath(levelName(level), cp.Size>>(tileHeight*(level+1)), len(edge)), tileBytes(edge)); err != nil {
			return err
		}
	}
	if err := e.write(checkpointName, []byte(cp.Note)); err != nil {
		return err
	}
	for _, dir := range e.obsolete {
		if err := e.to.RemoveAll(dir); err != nil {
			return fmt.Errorf("tiles: %w", err)
		}
	}
	return nil
}

// parseCheckpoint reads a note without verifying a signature.
func parseCheckpoint(note string) (cp ledger.Checkpoint, err error) {
	malformed := formatError("checkpoint is malformed")
	text, _, ok := strings.Cut(note, "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || len(note) > maxNote || len(lines) < 3 || lines[0] == "" {
		return cp, malformed
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] || cp.Root.UnmarshalText([]byte(lines[2])) != nil {
		return cp, malformed
	}
	cp.Origin, cp.Size, cp.Note = lines[0], size, note
	return cp, nil
}

// lines returns the complete lines of a log from record from on, each valid
// until the next. At the end of the log it returns a nil line, so that the
// caller sees the state after the last record.
func lines(fsys fs.FS, from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		segs, err := segments(fsys, from)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, first := range segs {
			skip := from - min(first, from)
			if !segmentLines(fsys, first, skip, yield) {
				return
			}
		}
		yield(nil, fmt.Errorf("tiles: the log ends before the checkpoint: %w", fs.ErrNotExist))
	}
}

// segments returns the segments with the records from from on.
func segments(fsys fs.FS, from uint64) (firsts []uint64, err error) {
	entries, err := fs.ReadDir(fsys, ".") // sorted
	if err != nil {
		return nil, fmt.Errorf("tiles: %w", err)
	}
	for _, e := range entries {
		digits, isSegment := strings.CutSuffix(e.Name(), ".jsonl")
		first, err := strconv.ParseUint(digits, 10, 64)
		if !isSegment || err != nil || e.Name() != segmentName(first) {
			continue
		}
		if first <= from {
			firsts = firsts[:0]
		}
		firsts = append(firsts, first)
	}
	if len(firsts) == 0 || firsts[0] > from {
		return nil, fmt.Errorf("tiles: record %d: %w", from, fs.ErrNotExist)
	}
	return firsts, nil
}

func segmentName(first uint64) string { return fmt.Sprintf("%020d.jsonl", first) }

// segmentLines returns the lines of a segment after the first skip lines.
func segmentLines(fsys fs.FS, first, skip uint64, yield func([]byte, error) bool) (more bool) {
	f, err := fsys.Open(segmentName(first))
	if err != nil {
		return yield(nil, fmt.Errorf("tiles: %w", err)) && false
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(f, maxLine+1)
	for n := uint64(0); ; n++ {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF): // an unfinished line is not part of the log
			return true
		case err != nil:
			return yield(nil, fmt.Errorf("tiles: %s: %w", segmentName(first), err)) && false
		case n >= skip && !yield(line[:len(line)-1], nil):
			return false
		}
	}
}
