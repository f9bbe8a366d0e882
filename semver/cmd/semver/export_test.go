package main

import "io"

// Run is the function run.
var Run = run

// Main is the function main.
func Main() { main() }

// Names returns the names of the commands.
func Names() (all []string) {
	for _, cmd := range commands() {
		all = append(all, cmd.name)
	}
	return all
}

// ReadOSV returns the canonical texts of the sets in OSV records.
func ReadOSV(r io.Reader) (sets []string, err error) {
	found, err := readOSV(r, "")
	for _, a := range found {
		sets = append(sets, a.set.Canonical())
	}
	return sets, err
}
