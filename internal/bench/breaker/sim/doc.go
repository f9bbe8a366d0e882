// Package sim lets a fleet of clients live through the outage of the one service they all need, and counts what each
// kind of breaker makes of it. Run it with
//
//	go test -v -run Fleet ./breaker/sim
//
// The world is 40 clients that each make 10 calls a second, and give up a call after 1 s. The service fails for 60 s, in
// which calls hang until given up, and then restarts cold: it can serve 80 calls a second at first and 14.7 more with
// each second, up to 520; 400 are asked for. It queues up to 400 calls, serves them in order, also those whose caller has
// gone, and turns away what is more. In the other story the service comes back for 3 s in every 10 s of the outage, cold
// only at the end.
//
// Time is that of a testing/synctest bubble in steps of 10 ms, everything happens in one order, and what chance there
// is comes from the seed; only the throttles, which draw lots inside, differ between runs. Counted are
//
//   - wasted: calls sent to the service while it was down;
//   - overload: calls sent after its restart that failed;
//   - lost: calls wanted in the 90 s after the restart that failed or were not sent;
//   - recovered: seconds from the restart until from then on 19 of 20 calls in each second succeed.
package sim
