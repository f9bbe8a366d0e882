#!/bin/sh
# Records modules.txt anew: of the build lists of internal/bench, internal/interop and contrib the modules that their go.mod files require and
# those that advisories.go names, a line each: path, version in use (the first folder's, if they differ), and the versions
# that the module proxy knows today. Run by go generate in examples/modwatch.
set -eu
here=$(pwd)
advised=$(sed -n 's/^\t{"GO-[^"]*", "\([^"]*\)".*/\1/p' advisories.go)
for dir in ../../internal/bench ../../internal/interop ../../contrib/*; do
  cd "$here/$dir"
  required=$(awk '$1 ~ /\./ && $2 ~ /^v/ && !/redoubt-go/ { print $1 }' go.mod)
  go list -e -mod=mod -m -versions -f '{{if .Version}}{{.Path}} {{.Version}}{{range .Versions}} {{.}}{{end}}{{end}}' \
    $(printf '%s\n' $required $advised | sort -u)
  go mod tidy # the listing adds checksums to go.sum that nothing else needs
done | sort -s -u -k 1,1 >"$here/testdata/modules.new"
mv "$here/testdata/modules.new" "$here/testdata/modules.txt"
