package chart

import (
	"os"
	"path/filepath"
)

// Root returns the path from the working directory to the repository: the first
// parent that contains docs/README.md. It returns "" if there is none.
func Root() string {
	for dir, n := ".", 0; n < 10; dir, n = filepath.Join(dir, ".."), n+1 {
		if _, err := os.Stat(filepath.Join(dir, "docs", "README.md")); err == nil {
			return dir
		}
	}
	return ""
}
