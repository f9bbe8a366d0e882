// Package logscan compares package logscan with other libraries and programs.
// All contestants run on the same generated corpus and must return the same
// checksum. A corpus has 32 MiB; the flag -corpus sets another size in MiB.
// Programs take part only if they are installed.
package logscan
