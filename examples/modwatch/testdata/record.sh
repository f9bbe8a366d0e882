#!/bin/sh
# Records modules.txt anew: of the build list of internal/bench the modules that its go.mod requires and those that
# advisories.go names, a line each: path, version in use, and the versions that the module proxy knows today. Run by go
# generate in examples/modwatch.
set -eu
advised=$(sed -n 's/^\t{"GO-[^"]*", "\([^"]*\)".*/\1/p' advisories.go)
cd ../../internal/bench
required=$(awk '$1 ~ /\./ && $2 ~ /^v/ && !/redoubt-go/ { print $1 }' go.mod)
go list -e -mod=mod -m -versions -f '{{if .Version}}{{.Path}} {{.Version}}{{range .Versions}} {{.}}{{end}}{{end}}' \
  $(printf '%s\n' $required $advised | sort -u) >../../examples/modwatch/testdata/modules.txt
go mod tidy # the listing adds checksums to go.sum that nothing else needs
