package retrysql_test

import "runtime"

// runtimeGoexit keeps vet from reporting the code after runtime.Goexit.
func runtimeGoexit() { runtime.Goexit() }
