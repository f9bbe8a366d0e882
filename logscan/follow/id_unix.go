//go:build unix

package follow

import (
	"io/fs"
	"syscall"
)

// fileID returns the numbers of the device and the inode, or 0 and 0.
func fileID(info fs.FileInfo) (dev, ino uint64) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Dev), uint64(s.Ino)
	}
	return 0, 0
}
