package follow

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A file is an open regular file.
type file interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
}

// A fileSystem is the part of a file system that a Follower uses. Tests use a
// file system in memory, which changes between any two calls.
type fileSystem interface {
	Open(name string) (file, error) // errIrregular unless it is a regular file; never blocks
	Stat(name string) (fs.FileInfo, error)
	Target(name string) (string, error) // name without symbolic links; it may not exist
	List(dir string) ([]string, error)  // the names in a folder
	ID(fs.FileInfo) (dev, ino uint64)   // 0 and 0 if files have no numbers
}

var errIrregular = errors.New("not a regular file")

type osFS struct{}

// Open looks at the mode before and after opening: a FIFO would block the first
// open, and another file may take the name in between.
func (osFS) Open(name string) (file, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errIrregular}
	}
	f, err := os.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errIrregular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (osFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
func (osFS) ID(info fs.FileInfo) (dev, ino uint64) { return fileID(info) }

func (osFS) Target(name string) (string, error) {
	target, err := filepath.EvalSymlinks(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return target, err
	}
	for range 40 { // a link that leads nowhere
		next, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(name), next)
		}
		name = next
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		name = filepath.Join(dir, filepath.Base(name))
	}
	return name, nil
}

func (osFS) List(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// A listing keeps the sorted names of folders.
type listing map[string][]string

// list returns the names in dir.
func (l listing) list(fsys fileSystem, dir string) ([]string, error) {
	if names, ok := l[dir]; ok {
		return names, nil
	}
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	l[dir] = names
	return names, nil
}

// glob returns the names that match pattern, in order. In contrast to
// filepath.Glob it returns errors: a folder that cannot be read is not empty.
func (l listing) glob(fsys fileSystem, pattern string) ([]string, error) {
	dir, base := filepath.Split(pattern)
	dirs := []string{dir}
	wild := hasMeta(dir)
	if wild {
		var err error
		if dirs, err = l.glob(fsys, strings.TrimRight(dir, string(filepath.Separator))); err != nil {
			return nil, err
		}
	}
	prefix := base
	if i := strings.IndexAny(base, `*?[\`); i >= 0 {
		prefix = base[:i]
	}
	var names []string
	for _, dir := range dirs {
		all, err := l.list(fsys, filepath.Clean(dir))
		if errors.Is(err, fs.ErrNotExist) || err != nil && wild {
			continue
		}
		if err != nil {
			return nil, err
		}
		i, _ := slices.BinarySearch(all, prefix)
		for ; i < len(all) && strings.HasPrefix(all[i], prefix); i++ {
			if ok, _ := filepath.Match(base, all[i]); ok { // Validate has checked the pattern
				names = append(names, filepath.Join(dir, all[i]))
			}
		}
	}
	return names, nil
}

func hasMeta(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// literal returns a pattern that matches name only.
func literal(name string) string {
	var b strings.Builder
	for _, c := range name {
		switch {
		case strings.ContainsRune("*?[", c):
			b.WriteString("[" + string(c) + "]")
		case c == '\\' && filepath.Separator != '\\':
			b.WriteString(`\\`)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
