package ledger

import (
	"os"
	"syscall"
)

// A disk is a segment in the file system.
type disk struct{ *os.File }

// Sync makes data and size durable. It does not sync the times of the file,
// which on some file systems needs a second write.
func (d disk) Sync() error {
	for {
		err := syscall.Fdatasync(int(d.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
