// Package logscan compares package logscan with its peers in one run. The corpora are generated; their size is 32 MiB, or
// what -corpus says in MiB. Every contestant must return the same checksum. Programs are compared only where they are installed.
package logscan
