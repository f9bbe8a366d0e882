//go:build !logscanpoison

package logscan

// poison makes a scan overwrite every record after its iteration. It is on in
// programs and tests built with -tags logscanpoison.
const poison = false
