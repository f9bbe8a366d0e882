// Package sshd holds the parser for messages of OpenSSH against a real sshd.
package sshd
