package retrysql_test

import (
	"bytes"
	"io"
)

// isCommit reports whether a packet of a client contains a COMMIT.
func isCommit(p []byte) bool { return bytes.Contains(bytes.ToUpper(p), []byte("COMMIT")) }

func newReader(p []byte) io.Reader { return bytes.NewReader(p) }
