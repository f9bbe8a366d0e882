// Package config decodes the configurations of redoubt from maps, and encodes
// them. So a service reads the settings of its retries, circuit breakers, rate
// limits and caches from JSON, YAML, TOML or environment variables.
//
// The fields of a configuration have no tags, durations are numbers of
// nanoseconds to a JSON decoder, and a [retry.Backoff] is an interface. This
// package gives them texts such as "5s", and refuses a typing error instead of
// ignoring it. It works on the map that a parser of your choice returns, so it
// requires no parser itself.
//
// # Read a file
//
// [Decode] sets the fields that the map names, and keeps all others. So a
// program puts its hooks and its own defaults into the value first. The value
// can be a configuration, or any struct that contains configurations:
//
//	var m map[string]any
//	if err := json.Unmarshal(file, &m); err != nil {
//		fmt.Println(err)
//		return
//	}
//	c := shop{Breaker: breaker.Config{Name: "billing", OnEvent: logEvent}}
//	if err := config.Decode(m, &c); err != nil {
//		fmt.Println(err)
//		return
//	}
//	b := breaker.New(c.Breaker)
//
// # Change a running service
//
// Every guard has a method Set. Decode into the same defaults each time, not
// into the present configuration: a setting that was removed from the file then
// returns to its default. The example "reload" does this for each kind of guard
// at each SIGHUP.
//
//	c := defaults()
//	if err := config.Decode(m, &c); err != nil {
//		return err
//	}
//
// # Read the environment
//
// [Env] returns the map of variables such as SHOP__BREAKER__OPEN_FOR. A second
// Decode into the same value overrides the file:
//
//	env, err := config.Env(environ, "SHOP") // of os.Environ()
//
// # Show the values in force
//
// [Encode] returns the map that Decode reads:
//
//	m, err := config.Encode(k.Config())
//
// # Keys and values
//
// A key is the name of a field in snake case: max_attempts for MaxAttempts,
// error_ttl for ErrorTTL. Letter case does not matter. The keys of a Go map,
// such as the names in a map[string]retry.Policy, are used as they are. The
// page keys.md beside this package lists the keys of each type.
//
//   - Duration: a text such as "1m30s", or "-1s" for a negative duration. A
//     number without a unit is an error.
//   - [ratelimit.Limit]: "100/s burst 20". With a name, a section with the keys
//     n, per, burst and name.
//   - Number and bool: a number, a bool, or their text. A whole number may be
//     5.0 but not 0.5. A field that counts bytes accepts "64MiB".
//   - Enumeration: the text of its String method, such as "lru". The texts of
//     ratelimit.OnFull are inherit_debt and forgive_debt.
//   - [retry.Jitter]: "full", "equal", "none" or a number.
//   - SyncPolicy of package ledger: "always", "never" or a duration.
//   - Backoff: a section with one key, the kind: exponential, decorrelated,
//     constant or sequence. {"constant": "2s"} and {"sequence": ["1s", "1m"]}
//     contain only durations. "exponential" alone is a text too. Budget:
//     {"token_budget": {"ratio": 0.2}}.
//   - A type with UnmarshalText: its text. A field of type any: every value.
//   - A struct, a pointer to a struct, a map: a section. An embedded struct is
//     a section with the name of its type. Struct tags have no effect.
//   - A slice: a list, which replaces the list of the value.
//   - A function, a channel, another interface, an object without exported
//     fields: set by the program only. A key for such a field is an error.
//
// # Choosing values
//
//   - Zero means the default of a field, so leave a key out to get the default.
//     A null is an error.
//   - Leave a section out by a pointer field: it remains nil if the map does
//     not name it.
//   - Write a secret, such as a TokenKey of package audit, into the environment
//     or into a file of its own. Encode leaves it out, and errors do not
//     contain it.
//
// # Errors
//
// Decode reports all problems at once, each an [*Error] with the whole path,
// and changes nothing then:
//
//   - unknown keys, and keys that differ only in letter case
//   - values of a wrong type, out of range, not finite, or without a unit
//   - the errors of UnmarshalText and of Validate
//
// Validate is called for the value and for each value that the map names. The
// Validate of a struct answers for all its parts, so their own is not called.
// If the struct embeds a type with Validate, their own is called too.
//
// # Concurrency and cost
//
// All functions may be called concurrently, as long as no other goroutine
// changes the value. Decode accepts at most 65536 values, 32 levels and 64 KiB
// in a text that it parses. Its time and memory are proportional to the map.
package config
