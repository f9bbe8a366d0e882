package main

// Main is the command.
func Main() { main() }
