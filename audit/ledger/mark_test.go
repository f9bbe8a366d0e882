package ledger_test

import (
	"os"
	"path/filepath"
	"testing"
)

// A record after the last checkpoint that was changed, with its old MAC, is cut
// off. Unchanged records stay.
func TestForgedRecordWithItsOldMAC(t *testing.T) {
	dir, mark := t.TempDir(), filepath.Join(t.TempDir(), "mark")
	c := sealing(signer(t, origin, 1))
	c.Mark = mark
	l := open(t, dir, c)
	sealedMark := readFile(t, mark)
	write(t, l, "a", "b")
	good := split(read(t, dir))
	must(t, l.Close())
	restart := func(last []byte) []string {
		t.Helper()
		lines := append(append([][]byte{}, good[:len(good)-1]...), last)
		must(t, os.WriteFile(filepath.Join(dir, segment), join(lines), 0o600))
		must(t, os.WriteFile(mark, sealedMark, 0o600))
		must(t, open(t, dir, c).Close())
		return ids(t, os.DirFS(dir))
	}
	last := good[len(good)-1]
	checkEqual(t, restart(last), []string{"a", "b"})
	checkEqual(t, restart(forge(last)), []string{"a"})
}
