// Package grpc compares package redoubtgrpc with the interceptors of
// failsafe-go.
package grpc
