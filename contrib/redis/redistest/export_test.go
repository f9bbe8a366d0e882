package redistest

import "bufio"

// ReadReply reads a reply of the protocol.
func ReadReply(r *bufio.Reader) (string, error) { return readReply(r) }
