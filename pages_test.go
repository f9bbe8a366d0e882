package redoubt_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/internal/house"
)

// TestProgramsOfPages compiles the programs in the pages, in a module of a
// user. The other code of the pages occurs in examples; see TestHouse.
func TestProgramsOfPages(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles programs")
	}
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := house.Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const module = "github.com/redoubt-go/redoubt"
	write("go.mod", fmt.Sprintf("module example.com/pages\n\ngo 1.26.0\n\nrequire %s v0.0.0\n\nreplace %s => %q\n", module, module, root))
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	write("go.sum", string(sums))
	programs := tree.Programs()
	for i, p := range programs {
		write(fmt.Sprintf("p%d/main.go", i), p.Text)
	}
	cmd := exec.Command("go", "vet", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		text := string(out)
		for i, p := range programs {
			text = strings.ReplaceAll(text, fmt.Sprintf("p%d/main.go", i), p.Page)
		}
		t.Errorf("%v\n%s", err, text)
	}
	if len(programs) < 4 {
		t.Errorf("got %d programs, want the programs of the pages in docs", len(programs))
	}
}
