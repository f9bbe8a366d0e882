// Package witnesstest contains a transparency log witness that runs in the
// process of a test.
//
// A [Witness] is an HTTP handler. It verifies the signature and the consistency
// proof of each checkpoint, as c2sp.org/tlog-witness requires, and cosigns:
//
//	w := witnesstest.New("witness.example/w1", log)
//	server := httptest.NewServer(w)
//	policy, err := witness.ParsePolicy(fmt.Appendf(nil,
//		"witness w1 %v %s\nquorum w1\n", w.Key(), server.URL))
//
// It forgets its state with the test, so it is no witness for a real log.
package witnesstest
