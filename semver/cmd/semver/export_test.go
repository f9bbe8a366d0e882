package main

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
