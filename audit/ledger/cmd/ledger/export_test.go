package main

// Main is the function main.
func Main() { main() }
