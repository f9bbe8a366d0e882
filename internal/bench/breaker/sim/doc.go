// Package sim simulates a fleet of clients through an outage of the service
// that they all need. It counts calls for each kind of breaker, and for none.
// Run it with
//
//	go test -v -run Fleet ./breaker/sim
//
// There are 40 clients. Each makes 10 calls a second, and gives up a call after
// 1 s. The service can serve 520 calls a second. It queues up to 400 calls and
// serves them in order, also if their callers have given up. It turns away
// further calls. In an outage of 60 s all calls hang until their callers give
// up. Then the service restarts cold: it can serve 80 calls a second at first,
// and 14.7 more with each second. In another story it comes back for 3 s in
// every 10 s of the outage, and restarts cold at its end.
//
// With -outages there are stories of 20 s to 10 min, with and without a cold
// restart, and brownouts in which 40 % of the capacity is left. TestOtherFleets
// changes the constants. TestPicture with -update draws
// docs/breaker-outage.svg.
//
// Time is virtual, in steps of 10 ms, and everything happens in a fixed order.
// Chance comes from the seed, except in the throttles, which draw lots inside.
// Counted are
//
//   - wasted: calls sent to the service while it was down; in a brownout, calls
//     that failed;
//   - overload: calls sent after its restart that failed;
//   - lost: calls wanted in the 90 s after the restart that failed or were not
//     sent;
//   - recovered: seconds from the restart until from then on 19 of 20 calls in
//     each second succeed.
package sim
