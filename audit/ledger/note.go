package ledger

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// algEd25519 is the only key type of the note format that this package
// supports.
const algEd25519 = 1

// Bounds of a note.
const (
	maxNote       = 1_000_000 // bytes, as in golang.org/x/mod/sumdb/note
	maxSignatures = 100       // lines
)

// A Signer signs the checkpoints of a log with an Ed25519 key. Its name is the
// origin of the log. The key is in a closure, which printers of structs cannot
// enter.
type Signer struct {
	v    *Verifier
	sign func(ctx context.Context, text []byte) ([]byte, error)
}

// NewSigner returns a signer for an Ed25519 key, which may be in hardware. The
// name is the origin of the log, see [Config.Origin]. The error matches
// [ErrFormat].
//
// If key has the method SignContext, with the arguments of Sign after a
// context, it is called in place of Sign, so that the ledger can end a call. A
// call of Sign that does not return makes the next calls of the signer fail.
func NewSigner(name string, key crypto.Signer) (*Signer, error) {
	if key == nil {
		return nil, formatError("key is missing")
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return nil, formatError("key is not an Ed25519 key")
	}
	v, err := newVerifier(name, public)
	if err != nil {
		return nil, err
	}
	return &Signer{v, signFunc(key)}, nil
}

// signFunc returns a function that signs with key and whose wait ends with its
// context.
func signFunc(key crypto.Signer) func(context.Context, []byte) ([]byte, error) {
	const noHash = crypto.Hash(0)
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return func(_ context.Context, text []byte) ([]byte, error) { return key.Sign(nil, text, noHash) }
	case interface {
		SignContext(context.Context, io.Reader, []byte, crypto.SignerOpts) ([]byte, error)
	}:
		return func(ctx context.Context, text []byte) ([]byte, error) {
			return key.SignContext(ctx, rand.Reader, text, noHash)
		}
	}
	type result struct {
		sig []byte
		err error
	}
	busy := make(turn, 1)
	return func(ctx context.Context, text []byte) ([]byte, error) {
		if err := busy.take(ctx, "sign"); err != nil {
			return nil, err
		}
		signed := make(chan result, 1)
		go func() {
			defer busy.end()
			defer close(signed) // also after runtime.Goexit
			sig, err := key.Sign(rand.Reader, text, noHash)
			signed <- result{sig, err}
		}()
		select {
		case r := <-signed:
			return r.sig, r.err
		case <-ctx.Done():
			return nil, done(ctx, "sign")
		}
	}
}

// ParseSigner reads a private key in the form of [GenerateKey] and
// golang.org/x/mod/sumdb/note. The error matches [ErrFormat] and does not
// contain the text.
func ParseSigner(skey string) (*Signer, error) {
	name, hash, seed, ok := cutKey(strings.TrimPrefix(skey, "PRIVATE+KEY+"))
	if !ok || !strings.HasPrefix(skey, "PRIVATE+KEY+") || len(seed) != ed25519.SeedSize {
		return nil, formatError("private key is malformed")
	}
	s, err := NewSigner(name, ed25519.NewKeyFromSeed(seed))
	if err != nil || s.v.hash != hash {
		return nil, formatError("private key is malformed")
	}
	return s, nil
}

// GenerateKey returns a new key pair for the log with the origin name: the
// private key skey, for [ParseSigner], and the public key vkey, for
// [ParseVerifier]. The error matches [ErrFormat].
func GenerateKey(name string) (skey, vkey string, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("ledger: %w", err)
	}
	v, err := newVerifier(name, public)
	if err != nil {
		return "", "", err
	}
	return "PRIVATE+KEY+" + keyText(name, v.hash, private.Seed()), v.String(), nil
}

// Verifier returns the public key.
func (s *Signer) Verifier() *Verifier { return s.v }

// String returns the name, without the key.
func (s *Signer) String() string { return "Signer(" + s.v.name + ")" }

// A Verifier is the public key of a [Signer].
type Verifier struct {
	name string
	hash uint32 // identifies the key among keys of that name
	key  ed25519.PublicKey
}

// ParseVerifier reads a public key in the form "name+hash+key" of
// c2sp.org/signed-note. The error matches [ErrFormat].
func ParseVerifier(vkey string) (*Verifier, error) {
	name, hash, key, ok := cutKey(vkey)
	if !ok || len(key) != ed25519.PublicKeySize {
		return nil, formatError("key %s is malformed", quote.Text(vkey))
	}
	v, err := newVerifier(name, key)
	if err == nil && v.hash != hash {
		err = formatError("key %s does not match its hash", quote.Text(vkey))
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func newVerifier(name string, key ed25519.PublicKey) (*Verifier, error) {
	if !isName(name) || !isOrigin(name) {
		return nil, formatError("key name %s is not a name", quote.Text(name))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%c%s", name, algEd25519, []byte(key)))
	return &Verifier{name: name, hash: binary.BigEndian.Uint32(sum[:]), key: bytes.Clone(key)}, nil
}

// Name returns the name of the key, which is the origin of its log.
func (v *Verifier) Name() string { return v.name }

// String returns the text that [ParseVerifier] reads.
func (v *Verifier) String() string { return keyText(v.name, v.hash, v.key) }

// keyText returns the text of a public or private key.
func keyText(name string, hash uint32, key []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, hash, base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, key...)))
}

// cutKey splits the text of a key. It does not check the hash.
func cutKey(s string) (name string, hash uint32, key []byte, ok bool) {
	name, rest, _ := strings.Cut(s, "+")
	hex, data, _ := strings.Cut(rest, "+")
	h, err1 := strconv.ParseUint(hex, 16, 32)
	key, err2 := strictBase64.DecodeString(data)
	if err1 != nil || err2 != nil || len(hex) != 8 || len(key) < 1 || key[0] != algEd25519 {
		return "", 0, nil, false
	}
	return name, uint32(h), key[1:], true
}

// signNote returns a note: text, which ends in a line end, and a signature by
// each signer.
func signNote(ctx context.Context, text string, signers []*Signer) (string, error) {
	var b strings.Builder
	b.WriteString(text + "\n")
	for _, s := range signers {
		sig, err := s.sign(ctx, []byte(text))
		if err == nil && !ed25519.Verify(s.v.key, []byte(text), sig) {
			err = errBadSignature
		}
		if err != nil {
			return "", fmt.Errorf("ledger: sign: %w", err)
		}
		raw := append(binary.BigEndian.AppendUint32(nil, s.v.hash), sig...)
		fmt.Fprintf(&b, "— %s %s\n", s.v.name, base64.StdEncoding.EncodeToString(raw))
	}
	return b.String(), nil
}

// errBadSignature means that a note contains an invalid signature of a known
// key.
var errBadSignature = errors.New("signature is invalid")

// openNote splits a signed note and reports which of the first 64 keys have
// signed it, as bits. It ignores signatures of other keys, which do no harm.
// The errors match ErrFormat or errBadSignature.
func openNote(note string, keys []*Verifier) (text string, signed uint64, err error) {
	malformed := formatError("signed note is malformed")
	split := strings.LastIndex(note, "\n\n")
	control := func(r rune) bool { return r < 0x20 && r != '\n' }
	if split < 0 || len(note) > maxNote || !utf8.ValidString(note) || !strings.HasSuffix(note, "\n") || strings.ContainsFunc(note, control) {
		return "", 0, malformed
	}
	// The last empty line separates text and signatures. The text may contain
	// other empty lines.
	text, sigs := note[:split+1], strings.Split(strings.TrimSuffix(note[split+2:], "\n"), "\n")
	if len(sigs) > maxSignatures {
		return "", 0, malformed
	}
	for _, line := range sigs {
		name, raw, ok := cutSignature(line)
		if !ok {
			return "", 0, malformed
		}
		for i, k := range keys[:min(len(keys), maxKnownKeys)] {
			if signed>>i&1 == 1 || k.name != name || k.hash != binary.BigEndian.Uint32(raw) {
				continue
			}
			if !ed25519.Verify(k.key, []byte(text), raw[4:]) {
				return "", 0, fmt.Errorf("ledger: key %s: %w", k.name, errBadSignature)
			}
			signed |= 1 << i
		}
	}
	return text, signed, nil
}

// cutSignature splits a signature line. The first four bytes of raw identify
// the key.
func cutSignature(line string) (name string, raw []byte, ok bool) {
	rest, ok := strings.CutPrefix(line, "— ")
	name, data, found := strings.Cut(rest, " ")
	raw, err := strictBase64.DecodeString(data)
	return name, raw, ok && found && isName(name) && err == nil && len(raw) > 4
}

// isName reports whether s is the name of a key of c2sp.org/signed-note.
func isName(s string) bool {
	odd := func(r rune) bool { return r == '+' || unicode.IsSpace(r) }
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, odd)
}
