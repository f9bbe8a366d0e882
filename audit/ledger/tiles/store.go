package tiles

import (
	"errors"
	"os"
	"path"
	"strconv"
)

// A Store receives the files of an export. Names are slash-separated, as in
// package io/fs.
type Store interface {
	// ReadFile returns the content of a file, or an error that matches
	// fs.ErrNotExist.
	ReadFile(name string) ([]byte, error)
	// WriteFile creates or replaces a file atomically and durably. It creates
	// missing directories.
	WriteFile(name string, data []byte) error
	// RemoveAll removes a directory with its files, if it exists.
	RemoveAll(name string) error
}

// Dir returns a Store in a directory, which is created if it is missing. Files
// have the mode 0644 and directories 0755, before umask, so that a web server
// can read them. No symbolic link leads out of the directory.
func Dir(dir string) Store { return directory(dir) }

type directory string

// in calls do with the opened directory.
func (d directory) in(do func(*os.Root) error) error {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return err
	}
	return errors.Join(do(root), root.Close())
}

func (d directory) ReadFile(name string) (data []byte, err error) {
	err = d.in(func(root *os.Root) error {
		data, err = root.ReadFile(name)
		return err
	})
	return data, err
}

func (d directory) RemoveAll(name string) error {
	return d.in(func(root *os.Root) error { return root.RemoveAll(name) })
}

func (d directory) WriteFile(name string, data []byte) error {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return err
	}
	return d.in(func(root *os.Root) error {
		parents := []string{path.Dir(name)} // whose entries change
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, err := root.Stat(dir); err == nil {
				break
			}
			parents = append(parents, path.Dir(dir))
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := write(root, name, data); err != nil {
			return err
		}
		for _, dir := range parents {
			if err := syncDir(root, dir); err != nil {
				return err
			}
		}
		return nil
	})
}

// write replaces a file.
func write(root *os.Root, name string, data []byte) error {
	temp := name + ".new"
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return root.Rename(temp, name)
}

// syncDir makes the names in dir durable.
func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// tilePath returns the name of a tile of c2sp.org/tlog-tiles. Level is a number
// or "entries". A width of 256 is a full tile.
func tilePath(level string, n uint64, width int) string {
	digits := strconv.FormatUint(n%1000+1000, 10)[1:]
	for n /= 1000; n > 0; n /= 1000 {
		digits = "x" + strconv.FormatUint(n%1000+1000, 10)[1:] + "/" + digits
	}
	name := "tile/" + level + "/" + digits
	if width < tileWidth {
		name += ".p/" + strconv.Itoa(width)
	}
	return name
}
