package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

// readPath reads a file, or the files of a folder whose names end with .json.
func readPath(path, pkg string) (found []advisory.Affected, err error) {
	files := []string{path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if files, err = jsonFiles(path); err != nil {
			return nil, err
		}
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		some, err := advisory.ReadOSV(f, pkg)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		found = append(found, some...)
	}
	return found, nil
}

func jsonFiles(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if err == nil && files == nil {
		err = fmt.Errorf("%s contains no .json file", dir)
	}
	return files, err
}

// readAll reads the records of a single package.
func readAll(paths []string, pkg string) (found []advisory.Affected, err error) {
	for _, path := range paths {
		some, err := readPath(path, pkg)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	if pkg == "" {
		for _, a := range found {
			if a.Package != found[0].Package {
				return nil, fmt.Errorf("records of %s and %s; choose a package with -package", quote.Name(found[0].Package), quote.Name(a.Package))
			}
		}
	}
	return found, nil
}

// osv prints the set of each record.
func osv(c *call) func([]string) (int, error) {
	pkg := c.flags.String("package", "", "`NAME` or ecosystem/name of the package")
	return func(args []string) (int, error) {
		if len(args) == 0 {
			return failed, c.usage("no file")
		}
		status := no
		for _, path := range args {
			found, err := readPath(path, *pkg)
			if err != nil {
				return failed, err
			}
			for _, a := range found {
				status = yes
				if c.json {
					err = c.printJSON(a)
				} else {
					_, err = fmt.Fprintln(c.out, strings.Join([]string{quote.Name(a.ID), quote.Name(a.Package), a.Range.Canonical()}, "\t"))
				}
				if err != nil {
					return failed, err
				}
			}
		}
		return status, nil
	}
}
