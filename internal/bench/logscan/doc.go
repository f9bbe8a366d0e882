// Package logscan compares the speed and the memory of redoubt/logscan with
// other libraries and programs. The corpora are generated; their size is 32
// MiB, or the value of -corpus in MiB. Every implementation must return the
// same checksum. Programs take part only where they are installed.
package logscan
