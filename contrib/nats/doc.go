// Package redoubtnats connects redoubt to NATS and JetStream.
package redoubtnats
