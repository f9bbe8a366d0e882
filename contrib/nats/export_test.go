package redoubtnats

// Encode and Decode are the wire form of News.
func (n News) Encode(origin [originSize]byte) [][]byte { return n.encode(origin) }

func Decode(b []byte) (News, [originSize]byte, error) { return decode(b) }

func Covers(filter, subject string) bool { return covers(filter, subject) }
