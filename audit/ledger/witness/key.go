package witness

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// algCosignature is the type of timestamped Ed25519 cosignatures.
const algCosignature = 4

// maxName bounds the name of a key in bytes.
const maxName = 256

// cosignatureSize is the size of a key identifier, a time and a signature.
const cosignatureSize = 4 + 8 + ed25519.SignatureSize

// A Key is the public key of a witness.
type Key struct {
	name string
	id   uint32 // identifies the key among keys of that name
	key  ed25519.PublicKey
}

// ParseKey reads a public key in the form "name+hash+key" of
// c2sp.org/signed-note, with the signature type 4 of c2sp.org/tlog-cosignature.
//
// Errors: ErrFormat of package ledger.
func ParseKey(vkey string) (*Key, error) {
	malformed := formatError("key %s is malformed", quote.Text(vkey))
	name, rest, _ := strings.Cut(vkey, "+")
	hex, data, _ := strings.Cut(rest, "+")
	id, err1 := strconv.ParseUint(hex, 16, 32)
	raw, err2 := strictBase64.DecodeString(data)
	if err1 != nil || err2 != nil || len(hex) != 8 || len(raw) == 0 {
		return nil, malformed
	}
	if raw[0] != algCosignature {
		return nil, formatError("key %s has the type %d, want %d, an Ed25519 cosignature", quote.Text(vkey), raw[0], algCosignature)
	}
	k, err := newKey(name, raw[1:])
	if err != nil || k.id != uint32(id) {
		return nil, malformed
	}
	return k, nil
}

func newKey(name string, key ed25519.PublicKey) (*Key, error) {
	if !isName(name) || len(key) != ed25519.PublicKeySize {
		return nil, formatError("key name %s is not a name, or the key is not an Ed25519 key", quote.Text(name))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%c%s", name, algCosignature, []byte(key)))
	return &Key{name: name, id: binary.BigEndian.Uint32(sum[:]), key: bytes.Clone(key)}, nil
}

// isName reports whether s is the name of a key of c2sp.org/signed-note, of a
// bounded length.
func isName(s string) bool {
	odd := func(r rune) bool { return r == '+' || unicode.IsSpace(r) || unicode.IsControl(r) }
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, odd)
}

// Name returns the name of the witness.
func (k *Key) Name() string { return k.name }

// String returns the text that [ParseKey] reads.
func (k *Key) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.id, base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, k.key...)))
}

// verify checks a cosignature of text, with the key identifier before it. The
// text is a checkpoint and ends in a line end.
func (k *Key) verify(text string, raw []byte) (time.Time, bool) {
	if len(raw) != cosignatureSize {
		return time.Time{}, false
	}
	at := binary.BigEndian.Uint64(raw[4:])
	if at == 0 || at > math.MaxInt64 || !ed25519.Verify(k.key, cosigned(text, at), raw[12:]) {
		return time.Time{}, false
	}
	return time.Unix(int64(at), 0), true
}

// cosigned returns the message that a witness signs.
func cosigned(text string, at uint64) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
}

// A Cosigner is the private key of a witness. It does not check that
// checkpoints are consistent: that is the task of a witness.
type Cosigner struct {
	k    *Key
	sign func(message []byte) ([]byte, error) // the key is in a closure, so that no printer shows it
}

// NewCosigner returns a cosigner for an Ed25519 key, which may be in hardware.
//
// Errors: ErrFormat of package ledger.
func NewCosigner(name string, key crypto.Signer) (*Cosigner, error) {
	if key == nil {
		return nil, formatError("key is missing")
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, formatError("key is not an Ed25519 key")
	}
	k, err := newKey(name, public)
	if err != nil {
		return nil, err
	}
	return &Cosigner{k, func(m []byte) ([]byte, error) { return key.Sign(rand.Reader, m, crypto.Hash(0)) }}, nil
}

// Key returns the public key.
func (c *Cosigner) Key() *Key { return c.k }

// String returns the name, without the key.
func (c *Cosigner) String() string { return "Cosigner(" + c.k.name + ")" }

// Cosign returns a signature line for the checkpoint in note, as of the time
// at. The line can be appended to the note.
//
// Errors: ErrFormat of package ledger if note is not a signed checkpoint, or if
// at is before 1970; the error of the key.
func (c *Cosigner) Cosign(note string, at time.Time) (string, error) {
	n, err := parseNote(note)
	if err != nil {
		return "", err
	}
	if at.Unix() <= 0 {
		return "", formatError("the time of a cosignature is before 1970")
	}
	unix := uint64(at.Unix())
	sig, err := c.sign(cosigned(n.text, unix))
	if err != nil {
		return "", fmt.Errorf("witness: sign: %w", err)
	}
	raw := binary.BigEndian.AppendUint32(nil, c.k.id)
	raw = append(binary.BigEndian.AppendUint64(raw, unix), sig...)
	if _, ok := c.k.verify(n.text, raw); !ok {
		return "", formatError("the key has made an invalid signature")
	}
	return "— " + c.k.name + " " + base64.StdEncoding.EncodeToString(raw) + "\n", nil
}
