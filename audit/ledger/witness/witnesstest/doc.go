// Package witnesstest is a conformance test for witnesses of transparency logs,
// and contains a witness that runs in the process of a test.
//
// Run the test in the package of a witness:
//
//	type subject = witnesstest.Subject
//	witnesstest.Run(t, func(t *testing.T, log *ledger.Verifier) subject {
//		server := httptest.NewServer(newWitness("witness.example/w1", log))
//		t.Cleanup(server.Close)
//		return subject{Key: key, URL: server.URL}
//	})
//
// A witness passes if it answers each kind of request as c2sp.org/tlog-witness
// requires.
//
// Use a [Witness] in the test of a program that is a client of witnesses:
//
//	w := witnesstest.New("witness.example/w1", log)
//	server := httptest.NewServer(w)
//	policy, err := witness.ParsePolicy(fmt.Appendf(nil,
//		"witness w1 %v %s\nquorum w1\n", w.Key(), server.URL))
//
// It loses its state with the process, so it is no witness for a real log.
package witnesstest
