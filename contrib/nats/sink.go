package redoubtnats

import "github.com/redoubt-go/redoubt/audit"

var _ audit.Sink
