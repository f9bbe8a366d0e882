package cache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

type User struct{ Name string }

func findUser(_ context.Context, id string) (User, error) {
	return User{strings.ToUpper(id[:1]) + id[1:]}, nil
}

func Example() {
	ctx := context.Background()
	users := cache.Memoize(cache.Config[string, User]{
		Capacity: 10_000,
		TTL:      time.Minute,
	}, findUser)
	alice, err := users.Get(ctx, "alice") // one query for all callers
	users.Forget("alice")                 // after a change at the origin
	fmt.Println(alice.Name, err, users.Stats().HitRatio())
	// Output: Alice <nil> 0
}

func ExampleCache() {
	counts := cache.New(cache.Config[string, int]{Capacity: 1000})
	counts.Set("a", 1)
	n, ok := counts.Get("a")
	fmt.Println(n, ok)
	// Output: 1 true
}

func findRate(_ context.Context, currency string) (float64, error) {
	if currency == "EUR" {
		return 1.08, nil
	}
	return 0, cache.ErrNotFound
}

// While the origin fails or hangs, known rates are served for a day.
func ExampleConfig_staleIfError() {
	rates := cache.Memoize(cache.Config[string, float64]{
		Capacity:     200,
		TTL:          10 * time.Minute,
		StaleIfError: 24 * time.Hour,
		StaleIfSlow:  100 * time.Millisecond,
	}, findRate)
	fmt.Println(rates.Get(context.Background(), "EUR"))
	fmt.Println(rates.Get(context.Background(), "ABC"))
	// Output:
	// 1.08 <nil>
	// 0 cache: not found
}

func ExampleNew() {
	c := cache.New(cache.Config[string, int]{Capacity: 2, Eviction: cache.LRU})
	c.Set("a", 1)
	c.Set("b", 2)
	c.Get("a")    // b is now the least recently used
	c.Set("c", 3) // evicts b
	for k, v := range c.All() {
		fmt.Println(k, v)
	}
	// Output:
	// a 1
	// c 3
}

func ExampleConfig() {
	config := cache.Config[string, int]{TTL: -time.Second}
	fmt.Println(config.Validate())
	// Output:
	// cache: Capacity is 0, want at least 1
	// cache: TTL is -1s, want 0 (no expiry) or more
}

func ExampleCache_GetOrLoad() {
	c := cache.New(cache.Config[string, int]{Capacity: 100})
	length := func(_ context.Context, word string) (int, error) {
		fmt.Println("counting", word)
		return len(word), nil
	}
	for range 3 {
		n, err := c.GetOrLoad(context.Background(), "redoubt", length)
		fmt.Println(n, err)
	}
	// Output:
	// counting redoubt
	// 7 <nil>
	// 7 <nil>
	// 7 <nil>
}

func ExampleCache_GetOrSet() {
	c := cache.New(cache.Config[string, int]{Capacity: 100})
	fmt.Println(c.GetOrSet("a", 1))
	fmt.Println(c.GetOrSet("a", 2))
	// Output:
	// 1 false
	// 1 true
}

func ExampleEvent() {
	files := cache.New(cache.Config[string, string]{
		Capacity: 2,
		Eviction: cache.LRU,
		OnEvent: func(_ context.Context, e cache.Event[string, string]) {
			fmt.Println("close", e.Value, "-", e.Cause)
		},
	})
	files.Set("a", "a.log")
	files.Set("a", "a.log.1")
	files.Set("b", "b.log")
	files.Set("c", "c.log")
	files.Delete("b")
	// Output:
	// close a.log - replaced
	// close a.log.1 - evicted
	// close b.log - deleted
}

// The event of a load that fails has the error, even if a stale value answers.
func ExampleKind() {
	users := cache.New(cache.Config[string, User]{
		Capacity: 100,
		OnEvent: func(_ context.Context, e cache.Event[string, User]) {
			if e.Kind == cache.KindLoadFailed {
				fmt.Println(e.Kind, e.Key, e.Err)
			}
		},
	})
	users.GetOrLoad(context.Background(), "alice", func(context.Context, string) (User, error) {
		return User{}, errors.New("connection refused")
	})
	// Output: load failed alice connection refused
}

func ExampleCause() {
	fmt.Println(cache.CauseReplaced, cache.CauseDeleted, cache.CauseExpired, cache.CauseEvicted)
	// Output: replaced deleted expired evicted
}

func ExampleStats() {
	c := cache.New(cache.Config[string, int]{Capacity: 1})
	c.Set("a", 1)
	c.Get("a")
	c.Get("b")
	text, _ := json.Marshal(c.Stats())
	fmt.Println(string(text))
	fmt.Println(c.Stats().HitRatio())
	// Output:
	// {"name":"","len":1,"weight":1,"capacity":1,"hits":1,"misses":1,"stale_hits":0,"error_hits":0,"loads":0,"not_found":0,"load_errors":0,"refresh_errors":0,"load_time_ns":0,"evictions":0,"expirations":0}
	// 0.5
}

func ExampleMemoize() {
	var fib *cache.Memo[int, int64]
	fib = cache.Memoize(cache.Config[int, int64]{Capacity: 100}, func(ctx context.Context, n int) (int64, error) {
		if n < 2 {
			return int64(n), nil
		}
		a, _ := fib.Get(ctx, n-1)
		b, _ := fib.Get(ctx, n-2)
		return a + b, nil
	})
	fmt.Println(fib.Get(context.Background(), 50))
	fmt.Println(fib.Stats().Loads, "calls")
	// Output:
	// 12586269025 <nil>
	// 51 calls
}

func ExampleMemo() {
	var find func(context.Context, string) (User, error) = findUser
	find = cache.Memoize(cache.Config[string, User]{Capacity: 100}, find).Get // has the same type
	fmt.Println(find(context.Background(), "bob"))
	// Output: {Bob} <nil>
}

// A Memo can forget all results or a single result.
func ExampleMemo_Clear() {
	square := cache.Memoize(cache.Config[int, int]{Capacity: 100}, func(_ context.Context, n int) (int, error) { return n * n, nil })
	info := func(when string) {
		st := square.Stats()
		fmt.Println(when, "hits:", st.Hits, "misses:", st.Misses, "remembered:", square.Cache().Len())
	}
	for _, n := range []int{2, 3, 3, 3} {
		square.Get(context.Background(), n)
	}
	info("asked, ")
	square.Forget(3)
	info("forgot,")
	square.Clear()
	info("cleared")
	// Output:
	// asked,  hits: 2 misses: 2 remembered: 2
	// forgot, hits: 2 misses: 2 remembered: 1
	// cleared hits: 2 misses: 2 remembered: 0
}

func ExampleNewLazy() {
	attempts := 0
	connection := cache.NewLazy(cache.LazyConfig{}, func(context.Context) (string, error) {
		if attempts++; attempts == 1 {
			return "", errors.New("connection refused")
		}
		return "connected", nil
	})
	for range 3 {
		fmt.Println(connection.Get(context.Background()))
	}
	fmt.Println(attempts, "attempts")
	// Output:
	//  connection refused
	// connected <nil>
	// connected <nil>
	// 2 attempts
}

func ExampleLazy_Reset() {
	version := 0
	config := cache.NewLazy(cache.LazyConfig{}, func(context.Context) (int, error) { version++; return version, nil })
	fmt.Println(config.Get(context.Background()))
	config.Reset()
	fmt.Println(config.Peek())
	fmt.Println(config.Get(context.Background()))
	// Output:
	// 1 <nil>
	// 0 false
	// 2 <nil>
}

// A Document counts its words once, when they are needed.
type Document struct {
	text  string
	words *cache.Lazy[int]
}

func NewDocument(text string) *Document {
	d := &Document{text: text}
	d.words = cache.NewLazy(cache.LazyConfig{}, func(context.Context) (int, error) {
		fmt.Println("counting")
		return len(strings.Fields(d.text)), nil
	})
	return d
}

// Words is a property that is computed at its first use.
func (d *Document) Words(ctx context.Context) (int, error) { return d.words.Get(ctx) }

// Write changes the text that the property depends on.
func (d *Document) Write(text string) {
	d.text = text
	d.words.Reset()
}

// A lazy, cached property of a struct.
func ExampleLazy() {
	d := NewDocument("to be or not to be")
	fmt.Println(d.Words(context.Background()))
	fmt.Println(d.Words(context.Background()))
	d.Write("to be")
	fmt.Println(d.Words(context.Background()))
	// Output:
	// counting
	// 6 <nil>
	// 6 <nil>
	// counting
	// 2 <nil>
}

func ExampleCachedError() {
	c := cache.New(cache.Config[string, User]{
		Capacity: 100,
		ErrorTTL: func(err error) time.Duration {
			if errors.Is(err, cache.ErrNotFound) {
				return time.Minute
			}
			return 0
		},
	})
	load := func(_ context.Context, id string) (User, error) {
		fmt.Println("asking for", id)
		return User{}, fmt.Errorf("user %s: %w", id, cache.ErrNotFound)
	}
	for range 2 {
		_, err := c.GetOrLoad(context.Background(), "bob", load)
		var cached *cache.CachedError
		fmt.Println(errors.Is(err, cache.ErrNotFound), errors.As(err, &cached))
	}
	// Output:
	// asking for bob
	// true false
	// true true
}

func ExamplePanicError() {
	defer func() {
		p := recover().(*cache.PanicError)
		fmt.Println(p.Value)
		fmt.Println(strings.Contains(string(p.Stack), "ExamplePanicError"))
	}()
	c := cache.New(cache.Config[int, int]{Capacity: 1})
	c.GetOrLoad(context.Background(), 0, func(_ context.Context, k int) (int, error) { return 1 / k, nil })
	// Output:
	// runtime error: integer divide by zero
	// true
}

type busyError struct{}

func (busyError) Error() string             { return "503 Service Unavailable" }
func (busyError) RetryAfter() time.Duration { return 2 * time.Minute }

func ExampleRetryAfter() {
	fmt.Println(cache.RetryAfter(fmt.Errorf("find: %w", busyError{})))
	fmt.Println(cache.RetryAfter(errors.New("connection refused")))
	// Output:
	// 2m0s
	// 0s
}

func ExampleEviction() {
	hits := func(policy cache.Eviction) (n int) {
		c := cache.New(cache.Config[int, int]{Capacity: 100, Eviction: policy})
		for i := range 10_000 { // a loop over a few more keys than fit
			if _, loaded := c.GetOrSet(i%110, i); loaded {
				n++
			}
		}
		return n
	}
	fmt.Println(cache.Adaptive, hits(cache.Adaptive) > 5000)
	fmt.Println(cache.LRU, hits(cache.LRU))
	// Output:
	// adaptive true
	// lru 0
}

func ExampleCache_Update() {
	visits := cache.New(cache.Config[string, int]{Capacity: 100})
	for _, page := range []string{"/", "/about", "/"} {
		visits.Update(page, func(n int, _ bool) (int, cache.Op) { return n + 1, cache.Write })
	}
	fmt.Println(visits.Get("/"))
	// Output: 2 true
}

func ExampleOp() {
	stock := cache.New(cache.Config[string, int]{Capacity: 100})
	stock.Set("anvil", 1)
	take := func(item string) (left int, ok bool) {
		return stock.Update(item, func(n int, ok bool) (int, cache.Op) {
			switch {
			case !ok:
				return 0, cache.Keep
			case n == 1:
				return 0, cache.Delete
			}
			return n - 1, cache.Write
		})
	}
	fmt.Println(take("anvil"))
	fmt.Println(take("anvil"))
	// Output:
	// 0 false
	// 0 false
}

func ExampleCompareAndSwap() {
	leader := cache.New(cache.Config[string, string]{Capacity: 100})
	leader.Set("eu", "a")
	fmt.Println(cache.CompareAndSwap(leader, "eu", "a", "b"))
	fmt.Println(cache.CompareAndSwap(leader, "eu", "a", "c"))
	// Output:
	// true
	// false
}

func ExampleCompareAndDelete() {
	locks := cache.New(cache.Config[string, string]{Capacity: 100, TTL: time.Minute})
	locks.GetOrSet("report", "job 1")
	fmt.Println(cache.CompareAndDelete(locks, "report", "job 2")) // not its lock
	fmt.Println(cache.CompareAndDelete(locks, "report", "job 1"))
	// Output:
	// false
	// true
}

func ExampleEntry() {
	old := cache.New(cache.Config[string, int]{Capacity: 100, TTL: time.Hour})
	old.Set("a", 1)
	old.Set("b", 2)
	snapshot := slices.Collect(old.Entries()) // encode it, and decode it after a restart

	restarted := cache.New(cache.Config[string, int]{Capacity: 100, TTL: time.Hour})
	restarted.Set("b", 20) // newer than the snapshot
	fmt.Println(restarted.Restore(slices.Values(snapshot)))
	fmt.Println(restarted.Get("a"))
	fmt.Println(restarted.Get("b"))
	// Output:
	// 1
	// 1 true
	// 20 true
}

// A snapshot is written to an io.Writer and read from an io.Reader, entry by
// entry.
func ExampleCache_Restore() {
	save := func(w io.Writer, c *cache.Cache[string, int]) error {
		enc := json.NewEncoder(w)
		for e := range c.Entries() {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return nil
	}
	load := func(r io.Reader, c *cache.Cache[string, int]) (n int, err error) {
		dec := json.NewDecoder(r)
		n = c.Restore(func(yield func(cache.Entry[string, int]) bool) {
			var e cache.Entry[string, int]
			for err = dec.Decode(&e); err == nil && yield(e); err = dec.Decode(&e) {
				e = cache.Entry[string, int]{}
			}
		})
		if err == io.EOF {
			err = nil
		}
		return n, err
	}

	config := cache.Config[string, int]{Capacity: 100, TTL: time.Hour, IdleTTL: time.Minute}
	old, restarted := cache.New(config), cache.New(config)
	old.Set("a", 1)
	old.Set("b", 2)
	var file bytes.Buffer
	fmt.Println(save(&file, old))
	fmt.Println(load(&file, restarted))
	fmt.Println(restarted.Get("b"))
	// Output:
	// <nil>
	// 2 <nil>
	// 2 true
}

func ExampleCache_SetConfig() {
	config := cache.Config[string, int]{Capacity: 1000, TTL: time.Minute}
	c := cache.New(config)
	config.Capacity, config.TTL = 5000, time.Hour
	fmt.Println(c.SetConfig(config))
	fmt.Println(c.Config().TTL, c.Stats().Capacity)
	// Output:
	// <nil>
	// 1h0m0s 5000
}

// The keys of a tenant.
func ExampleCache_DeleteKeys() {
	c := cache.New(cache.Config[string, string]{Capacity: 100})
	c.Set("tenant7/role", "admin")
	c.Set("tenant8/role", "guest")
	n := c.DeleteKeys(func(k string) bool {
		return strings.HasPrefix(k, "tenant7/")
	})
	fmt.Println(n, slices.Collect(c.Keys()))
	// Output: 1 [tenant8/role]
}

// The values with a tag.
func ExampleCache_DeleteFunc() {
	type page struct {
		text string
		tags []string
	}
	pages := cache.New(cache.Config[string, page]{Capacity: 100})
	pages.Set("/", page{"home", []string{"news"}})
	pages.Set("/about", page{text: "about"})
	n := pages.DeleteFunc(func(_ string, p page) bool { return slices.Contains(p.tags, "news") })
	fmt.Println(n, slices.Collect(pages.Keys()))
	// Output: 1 [/about]
}

// A loader that asks the origin for a value only if it has changed.
func ExampleOld() {
	type page struct{ etag, text string }
	fetch := func(ctx context.Context, url string) (page, error) {
		old, ok := cache.Old[page](ctx)
		if ok && old.etag == "v1" { // the origin answers: not modified
			fmt.Println("not modified")
			return old, nil
		}
		return page{"v1", "Hello"}, nil
	}
	ctx := context.Background()
	pages := cache.New(cache.Config[string, page]{Capacity: 100})
	for range 2 {
		p, err := pages.Reload(ctx, "/", fetch)
		fmt.Println(p.text, err)
	}
	// Output:
	// Hello <nil>
	// not modified
	// Hello <nil>
}

// The origin names the lifetime of each value.
func ExampleLimitTTL() {
	lookups := 0
	names := cache.Memoize(cache.Config[string, string]{Capacity: 100}, func(ctx context.Context, name string) (string, error) {
		lookups++
		ttl := map[string]time.Duration{"example.org": time.Hour, "local": 0}[name] // of the answer
		cache.LimitTTL(ctx, ttl)
		return "192.0.2.1", nil
	})
	for _, name := range []string{"example.org", "example.org", "local", "local"} {
		names.Get(context.Background(), name)
	}
	fmt.Println(lookups, "lookups")
	// Output: 3 lookups
}

func ExampleMemo_GetMany() {
	users := cache.Memoize(cache.Config[string, User]{Capacity: 100}, findUser)
	found, err := users.GetMany(context.Background(), []string{"alice", "bob"})
	fmt.Println(found, err)
	// Output: map[alice:{Alice} bob:{Bob}] <nil>
}

func ExampleMemoizeMany() {
	users := cache.MemoizeMany(cache.Config[string, User]{Capacity: 100},
		func(_ context.Context, ids []string) (map[string]User, error) {
			fmt.Println("SELECT", ids)
			return map[string]User{"alice": {"Alice"}, "bob": {"Bob"}}, nil
		})
	users.GetMany(context.Background(), []string{"alice", "bob"})
	bob, err := users.Get(context.Background(), "bob")
	fmt.Println(bob.Name, err)
	// Output:
	// SELECT [alice bob]
	// Bob <nil>
}

func ExampleKeysError() {
	users := cache.New(cache.Config[string, User]{Capacity: 100})
	_, err := users.GetOrLoadMany(context.Background(), []string{"alice", "bob"},
		func(context.Context, []string) (map[string]User, error) { return nil, errors.New("connection refused") })
	fmt.Println(err)
	var some *cache.KeysError[string]
	fmt.Println(errors.As(err, &some), some.Keys)
	// Output:
	// cache: load "alice", "bob": "connection refused"
	// true [alice bob]
}

// Keys of a token issuer: fresh for an hour, and usable for a day if the issuer
// is down.
func ExampleLazyConfig() {
	keys := cache.NewLazy(cache.LazyConfig{TTL: time.Hour, StaleIfError: 24 * time.Hour},
		func(context.Context) (string, error) { return "key 1", nil })
	fmt.Println(keys.Get(context.Background()))
	// Output: key 1 <nil>
}

func ExampleCache_GetOrLoadMany() {
	c := cache.New(cache.Config[string, int]{Capacity: 100})
	c.Set("a", 100)
	lengths, err := c.GetOrLoadMany(context.Background(), []string{"a", "bb", "cc", "bb"},
		func(_ context.Context, words []string) (map[string]int, error) {
			fmt.Println("counting", words)
			return map[string]int{"bb": 2}, nil // cc does not exist
		})
	fmt.Println(lengths, err)
	// Output:
	// counting [bb cc]
	// map[a:100 bb:2] <nil>
}

// A cache of files that is bounded by their total size.
func ExampleConfig_weigh() {
	files := cache.New(cache.Config[string, string]{
		MaxWeight: 64 << 20,
		Weigh: func(name, content string) uint32 {
			return uint32(len(name) + len(content))
		},
	})
	files.Set("a.txt", "first")
	files.Set("b.txt", "second")
	fmt.Println(files.Len(), "files of", files.Weight(), "bytes")
	// Output: 2 files of 21 bytes
}

type Font struct {
	Name   string
	Glyphs []byte
}

func ExampleWeak() {
	var fonts cache.Weak[string, Font]
	open := func(name string) *Font {
		return fonts.GetOrMake(name, func() *Font {
			fmt.Println("reading", name)
			return &Font{Name: name}
		})
	}
	a, b := open("Sans"), open("Sans")
	fmt.Println(a == b) // shared while the program uses it
	// Output:
	// reading Sans
	// true
}

// A shelf is a Store that outlives the cache. A lease of a shelf is the number
// of deletions before it.
type shelf struct {
	mu        sync.Mutex
	records   map[string]cache.Record[User]
	deletions int
}

func (s *shelf) Get(_ context.Context, id string) (cache.Record[User], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	r.Lease = strconv.Itoa(s.deletions)
	return r, nil
}

func (s *shelf) Set(_ context.Context, id string, r cache.Record[User]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Lease == "" || r.Lease == strconv.Itoa(s.deletions) {
		s.records[id] = r
	}
	return nil
}

func (s *shelf) Delete(_ context.Context, ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deletions++
	for _, id := range ids {
		delete(s.records, id)
	}
	return nil
}

func newShelf() *shelf { return &shelf{records: map[string]cache.Record[User]{}} }

func ExampleStore() {
	var s cache.Store[string, User] = newShelf()
	ctx := context.Background()
	before, _ := s.Get(ctx, "alice")
	s.Delete(ctx, "alice")                                                                 // alice has changed
	s.Set(ctx, "alice", cache.Record[User]{Value: User{"Old Alice"}, Lease: before.Lease}) // loaded before
	now, _ := s.Get(ctx, "alice")
	fmt.Println(now.Found)
	// Output: false
}

func ExampleRecord() {
	r := cache.Record[User]{Found: true, Value: User{"Alice"}, TTL: cache.NoExpiry}
	fmt.Println(r.Found, r.Absent, r.Value.Name)
	// Output: true false Alice
}

func ExampleTier() {
	ctx := context.Background()
	second := cache.Tier[string, User]{Store: newShelf(), TTL: time.Hour}
	load := second.Through(findUser)
	for range 2 { // the second cache is empty, the shelf is not
		users := cache.Memoize(cache.Config[string, User]{Capacity: 100, TTL: time.Minute}, load)
		fmt.Println(users.Get(ctx, "alice"))
		fmt.Println(users.Stats().Loads)
	}
	// Output:
	// {Alice} <nil>
	// 1
	// {Alice} <nil>
	// 1
}

func ExampleTier_Delete() {
	ctx := context.Background()
	name := "Alice"
	second := cache.Tier[string, User]{Store: newShelf(), TTL: time.Hour}
	users := cache.Memoize(cache.Config[string, User]{Capacity: 100}, second.Through(func(context.Context, string) (User, error) {
		return User{name}, nil
	}))
	fmt.Println(users.Get(ctx, "alice"))
	name = "Alice B." // a change at the origin
	fmt.Println(second.Delete(ctx, users.Cache(), "alice"))
	fmt.Println(users.Get(ctx, "alice"))
	// Output:
	// {Alice} <nil>
	// <nil>
	// {Alice B.} <nil>
}
