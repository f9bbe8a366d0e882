//go:build logscanpoison

package logscan

// poison: see poison_off.go.
const poison = true
