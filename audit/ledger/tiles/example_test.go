package tiles_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/tiles"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
)

// exampleLog returns a signed log with an event, and two directories.
func exampleLog(anchor func(context.Context, ledger.Checkpoint) error, dir string) (*ledger.Ledger, *ledger.Verifier) {
	skey, vkey, _ := ledger.GenerateKey("example.com/billing")
	signer, _ := ledger.ParseSigner(skey)
	key, _ := ledger.ParseVerifier(vkey)
	led, err := ledger.Open(context.Background(), dir, ledger.Config{Signer: signer, Anchor: anchor})
	if err != nil {
		panic(err)
	}
	_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "invoice.pay", Outcome: audit.Success}})
	return led, key
}

func Example() {
	ctx := context.Background()
	root, _ := os.MkdirTemp("", "tiles")
	defer func() { _ = os.RemoveAll(root) }()
	dir, public := filepath.Join(root, "log"), filepath.Join(root, "public")
	led, key := exampleLog(nil, dir)

	cp, err := led.Checkpoint(ctx)
	err = tiles.Export(ctx, os.DirFS(dir), cp, tiles.Dir(public))

	proof, err := tiles.Prove(os.DirFS(public), 1)
	checkpoint, err := proof.Verify(key)

	fmt.Println(checkpoint.Size == cp.Size, err, led.Close())
	// Output: true <nil> <nil>
}

func ExampleExport() {
	ctx := context.Background()
	root, _ := os.MkdirTemp("", "tiles")
	defer func() { _ = os.RemoveAll(root) }()
	dir, public := filepath.Join(root, "log"), filepath.Join(root, "public")
	led, _ := exampleLog(nil, dir)
	cp, _ := led.Checkpoint(ctx)

	err := tiles.Export(ctx, os.DirFS(dir), cp, tiles.Dir(public))
	fmt.Println(err)
	_ = fs.WalkDir(os.DirFS(public), ".", func(name string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			fmt.Println(name)
		}
		return nil
	})
	_ = led.Close()
	// Output:
	// <nil>
	// checkpoint
	// tile/0/000.p/3
	// tile/entries/000.p/3
}

func ExampleAnchor() {
	root, _ := os.MkdirTemp("", "tiles")
	defer func() { _ = os.RemoveAll(root) }()
	dir, public := filepath.Join(root, "log"), filepath.Join(root, "public")
	policy, _ := witness.ParsePolicy([]byte("quorum none"))

	client := witness.New(witness.Config{
		Policy: policy, Log: os.DirFS(dir),
		Anchor: tiles.Anchor(os.DirFS(dir), tiles.Dir(public)),
	})
	led, _ := exampleLog(client.Anchor, dir)
	_ = led.Close()
	_, err := os.Stat(filepath.Join(public, "checkpoint"))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleProve() {
	_, err := tiles.Prove(os.DirFS("testdata"), 1)
	fmt.Println(err)
	// Output: tiles: open checkpoint: no such file or directory
}

func ExampleDir() {
	root, _ := os.MkdirTemp("", "tiles")
	defer func() { _ = os.RemoveAll(root) }()
	store := tiles.Dir(filepath.Join(root, "public"))
	fmt.Println(store.WriteFile("tile/0/000.p/1", make([]byte, 32)))
	data, err := store.ReadFile("tile/0/000.p/1")
	fmt.Println(len(data), err)
	// Output:
	// <nil>
	// 32 <nil>
}

// A bucket is a Store in object storage, here a map.
type bucket map[string][]byte

func (b bucket) WriteFile(name string, data []byte) error {
	b[name] = append([]byte(nil), data...)
	return nil
}

func (b bucket) ReadFile(name string) ([]byte, error) {
	data, ok := b[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (b bucket) RemoveAll(dir string) error {
	for name := range b {
		if len(name) > len(dir) && name[:len(dir)+1] == dir+"/" {
			delete(b, name)
		}
	}
	return nil
}

func ExampleStore() {
	dir, _ := os.MkdirTemp("", "tiles")
	defer func() { _ = os.RemoveAll(dir) }()
	led, _ := exampleLog(nil, dir)
	cp, _ := led.Checkpoint(context.Background())
	b := bucket{}
	err := tiles.Export(context.Background(), os.DirFS(dir), cp, b)
	fmt.Println(len(b), err, led.Close())
	// Output: 3 <nil> <nil>
}
