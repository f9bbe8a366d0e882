package ledger

import (
	"os"
	"syscall"
)

// disk is a segment in the file system.
type disk struct{ *os.File }

// Sync makes data and size durable. It leaves out the times of the file, which
// costs a second write of the inode on some file systems.
func (d disk) Sync() error {
	for {
		err := syscall.Fdatasync(int(d.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
