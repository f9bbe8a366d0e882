//go:build !linux

package ledger

import "os"

// A disk is a segment in the file system.
type disk struct{ *os.File }
