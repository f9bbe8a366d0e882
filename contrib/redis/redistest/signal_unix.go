//go:build unix

package redistest

import (
	"os"
	"syscall"
)

// The signals that suspend and resume a process.
var suspend, resume os.Signal = syscall.SIGSTOP, syscall.SIGCONT
