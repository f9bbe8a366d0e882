// Package sketch counts in bounded memory: how often each key occurs, which keys
// occur most, how many different ones there are, and quantiles of a number. Every
// sketch can be merged with others of its kind and has a binary form, so that each
// host reads its own logs and only sketches travel.
//
//	lat := sketch.NewQuantile()
//	for ms := 1.0; ms <= 1000; ms++ {
//		lat.Add(ms)
//	}
//	fmt.Printf("p99 %.0f of %d\n", lat.Value(0.99), lat.Count())
//
// # Choosing values
//
// Counts is exact for the keys it has room for and lumps the others together.
// TopK finds the keys that matter among any number: each estimate is too high by
// at most Item.Err, and a key with more than 1/K of the total is always there.
// Distinct counts up to about 1500 different keys nearly exactly, and estimates
// more to about 0.8 % (one standard error). Quantile is right to 1 % of the value.
//
// Whoever knows the hash of Distinct can choose keys that spoil its estimate;
// where the keys come from strangers, give all sketches that are to be merged
// one secret key of 64 bits. It is no cryptographic hash.
//
// # Errors
//
// Merge returns ErrMismatch for sketches made with different values.
// UnmarshalBinary returns ErrFormat for what is no sketch of its kind; it then
// leaves the receiver as it was, and never allocates more than in proportion to
// its input.
//
// # Concurrency
//
// Sketches are not safe for concurrent use; make one per goroutine and merge.
//
// # Cost
//
// Counts and TopK hold their keys, each cut at 256 bytes. Distinct takes five to
// eleven bytes for each different key, and 16 KiB when there are more than 1536; Quantile
// at most 16 KiB. Adding allocates for a new key of Counts and TopK, else
// nothing. Merging Distinct and Quantile is commutative and associative; the
// result of merging Counts that are full, or TopK, depends on the order within
// the stated errors.
//
// # Binary form
//
// All forms begin with a letter for the kind and the version, now the byte 1. The
// numbers that follow are unsigned varints as in encoding/binary; a key is its
// length and its bytes.
//
//	C  keys held at most, count of the others, keys held; each: key, count
//	T  keys held at most, keys held; each: key, count, error
//	Q  count of zeros, index of the first bin + 65536, bins; each: count
//	D  hash of the secret key; 1 + fine registers, or 0; registers
//
// The keys of C are in order, those of T by count. A fine register is, in 32 bits,
// the first 25 bits of a hash and the number of zeros after them, plus one, in six; in
// the form each is what it is more than the one before. Else there are 16384
// registers of a byte, in which a zero is followed by how many more there are. Equal
// sketches have equal forms.
//
// # Source
//
// TopK is Space-Saving (Metwally, Agrawal, El Abbadi 2005), merged as by Agarwal
// et al. 2012; Distinct is HyperLogLog (Flajolet et al. 2007) with the estimator
// of Ertl 2017, sparse at first as in
// HyperLogLog++ (Heule, Nunkesser, Hall 2013); Quantile is DDSketch (Masson, Rim, Lee 2019).
package sketch
