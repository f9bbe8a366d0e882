package fleet

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/redoubt-go/redoubt/logscan/follow"
)

// A state is the file State of a follow.Dir. The Dir saves places of lines that
// were passed to the Shipper, which may be ahead of the acknowledged lines. So
// the Dir writes a file of its own, .ahead. Now and then the Shipper puts it
// aside, as .pinned. When all lines that were passed before are acknowledged,
// .pinned replaces the State.
type state struct {
	path   string
	pinned bool
	upTo   uint64 // lines that were passed when the file was put aside
}

func (s *state) aheadFile() string  { return s.path + ".ahead" }
func (s *state) pinnedFile() string { return s.path + ".pinned" }

// open returns logs with a State of its own, at the acknowledged places.
func (s *state) open(logs follow.Dir) (follow.Dir, error) {
	s.path = logs.State
	for _, file := range []string{s.aheadFile(), s.pinnedFile()} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return logs, err
		}
	}
	text, err := os.ReadFile(s.path)
	if err == nil {
		err = os.WriteFile(s.aheadFile(), text, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return logs, err
	}
	logs.State = s.aheadFile()
	for _, file := range []string{s.path, s.pinnedFile()} {
		logs.Exclude = append(logs.Exclude[:len(logs.Exclude):len(logs.Exclude)], literal(filepath.Base(file)))
	}
	return logs, nil
}

// save puts the file aside when passed lines were passed, and makes it the
// State when as many are acknowledged.
func (s *state) save(passed, acknowledged uint64) error {
	if !s.pinned {
		err := os.Rename(s.aheadFile(), s.pinnedFile())
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing new
		}
		if err != nil {
			return err
		}
		s.pinned, s.upTo = true, passed
	}
	if acknowledged < s.upTo {
		return nil
	}
	err := os.Rename(s.pinnedFile(), s.path)
	if err == nil {
		s.pinned = false
	}
	return err
}

// literal returns the pattern of filepath.Match that matches name alone.
func literal(name string) string {
	pairs := []string{"*", "[*]", "?", "[?]", "[", "[[]"}
	if runtime.GOOS != "windows" {
		pairs = append(pairs, `\`, `\\`)
	}
	return strings.NewReplacer(pairs...).Replace(name)
}
