//go:build !unix

package redistest

import "os"

// A process cannot be suspended.
var suspend, resume os.Signal
