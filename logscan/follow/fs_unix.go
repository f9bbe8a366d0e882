//go:build unix

package follow

import (
	"io/fs"
	"syscall"
)

// nonblock keeps the open of a FIFO without a writer from blocking.
const nonblock = syscall.O_NONBLOCK

// fileID returns the numbers of the device and the inode, or 0 and 0.
func fileID(info fs.FileInfo) (dev, ino uint64) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Dev), uint64(s.Ino)
	}
	return 0, 0
}

// errStale is the error of a file that must be opened again.
const errStale = syscall.ESTALE
