package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A file is a segment that is open for reading and appending.
type file interface {
	io.ReaderAt
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
}

// A storage contains all operations of a writer on files and directories. Tests
// inject faults into them and record them.
type storage interface {
	Create(path string) (file, error) // fails if the file exists, also as a link
	Open(path string) (file, error)   // follows no link
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(path string) error // makes the entries of a directory durable
}

// osStorage is the file system.
type osStorage struct{}

func (osStorage) Create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return disk{f}, nil
}

func (osStorage) Open(path string) (file, error) {
	f, err := openRegular(path, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return nil, err
	}
	return disk{f}, nil
}

func (osStorage) Rename(from, to string) error { return os.Rename(from, to) }

func (osStorage) Remove(path string) error { return os.Remove(path) }

func (osStorage) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openRegular opens a file without following a symbolic link. Other users must
// not be able to write the file.
func openRegular(path string, flag int) (*os.File, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	if !named.Mode().IsRegular() {
		return nil, formatError("%s is not a regular file", name)
	}
	if err := private(name, named); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, err
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(named, opened) {
		return nil, errors.Join(formatError("%s was replaced", name), err, f.Close())
	}
	return f, nil
}

// private returns an error if all users can write the file or directory.
func private(name string, st fs.FileInfo) error {
	if st.Mode().Perm()&0o002 == 0 {
		return nil
	}
	return formatError("%s has the mode %v, want no write permission for others", name, st.Mode().Perm())
}

// syncDir makes the entries of the directory of path durable.
func (l *Ledger) syncDir(path string) error {
	if l.config.Sync == SyncNever {
		return nil
	}
	return l.files.SyncDir(filepath.Dir(path))
}

// replace writes a file completely or not at all. It replaces a symbolic link,
// not the target of the link.
func (l *Ledger) replace(path string, r io.Reader) error {
	fresh := path + ".new"
	if err := l.files.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := l.files.Create(fresh)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{f}, r)
	if err := errors.Join(err, l.config.Sync.file(f), f.Close()); err != nil {
		return errors.Join(err, l.files.Remove(fresh))
	}
	return errors.Join(l.files.Rename(fresh, path), l.syncDir(path))
}

// makeDir creates dir and its missing parents. It syncs the parents that have a
// new entry, because a directory that is lost loses its files.
func (s SyncPolicy) makeDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.makeDir(filepath.Dir(dir)); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil // if it is not a directory, the lock fails
	case err != nil:
		return err
	case s == SyncNever:
		return nil
	}
	return osStorage{}.SyncDir(filepath.Dir(dir))
}

// lockDir locks a directory until the result is closed. The lock belongs to the
// directory, so that it cannot be removed while files are in the directory.
func lockDir(dir string) (io.Closer, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	err = lock(d)
	st, serr := d.Stat()
	switch {
	case err == nil && serr == nil && !st.IsDir():
		err = formatError("%s is not a directory", filepath.Base(dir))
	case err == nil && serr == nil:
		err = private(filepath.Base(dir), st)
	}
	if err := errors.Join(err, serr); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}
