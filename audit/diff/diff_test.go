package diff_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/diff"
)

// memory is a sink that keeps the events.
type memory struct {
	events []audit.Event
	fail   error
}

func (m *memory) WriteEvents(_ context.Context, events []*audit.Event) error {
	if m.fail != nil {
		return m.fail
	}
	for _, e := range events {
		m.events = append(m.events, *e)
	}
	return nil
}

// brief returns the events in the form "action outcome old>new".
func (m *memory) brief() (out []string) {
	for _, e := range m.events {
		s := fmt.Sprintf("%s %s", e.Action, e.Outcome)
		for _, c := range e.Changes {
			s += " " + c.Old + ">" + c.New
		}
		out = append(out, s)
	}
	return out
}

// An object is a target and its Differ.
type object struct {
	d      *diff.Differ
	target audit.Target
}

func (o object) record(ctx context.Context, old, new any) ([]audit.Change, error) {
	return o.d.Record(ctx, o.target, old, new)
}

func newObject(m *memory, typ string) object {
	return object{diff.New(audit.New(audit.Config{Sink: m})), audit.Target{Type: typ, ID: "1"}}
}

var errSink = errors.New("disk on fire")

func alice() context.Context {
	return audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
}

func checkIs(t *testing.T, got error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(got, w) {
			t.Errorf("error %v does not match %v", got, w)
		}
	}
}

type profile struct {
	contact
	Phone   string    `audit:"phone,sensitive"`
	Key     []byte    `audit:"key,token"`
	Age     *int      `audit:"age"`
	Tags    []string  `audit:"tags"`
	Since   time.Time `audit:"since"`
	Session string    // not audited
}

type contact struct {
	Email string `audit:"email"`
}

func TestDiff(t *testing.T) {
	m := &memory{}
	l := audit.New(audit.Config{Sink: m, TokenKeys: []audit.TokenKey{{ID: "k2", Key: audit.NewSecret([]byte("0123456789abcdef"))}}})
	o := object{diff.New(l), audit.Target{Type: "profile", ID: "1"}}
	before := profile{contact: contact{"a@x"}, Phone: "123", Key: []byte("k"), Tags: []string{"a"}, Session: "s"}
	after := before
	if cs, err := o.record(alice(), before, &after); err != nil || cs != nil || len(m.events) != 0 {
		t.Errorf("no change: %v, %v, %d events", cs, err, len(m.events))
	}
	before.Age, before.Since = new(41), time.Now()
	after.Age, after.Since = new(41), before.Since.UTC().Round(0) // the same number and instant
	if cs, err := o.record(alice(), before, &after); err != nil || cs != nil {
		t.Errorf("no change behind pointers: %v, %v", cs, err)
	}
	before.Age, after.Since = nil, before.Since
	after.Email, after.Phone, after.Key, after.Age, after.Session = "b@x", "456", []byte("l"), new(42), "t"
	cs, err := o.record(alice(), &before, &after)
	want := []audit.Change{
		{Field: "email", Old: "a@x", New: "b@x"},
		{Field: "phone", Old: "***", New: "***", Sensitive: true},
		{Field: "key", Old: l.Tokens("profile.key", "k")[0], New: l.Tokens("profile.key", "l")[0], Sensitive: true},
		{Field: "age", Old: "<nil>", New: "42"},
	}
	if d := cmp.Diff(want, cs); d != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, d)
	}
	_, _ = o.record(alice(), nil, contact{"c"})
	_, _ = o.record(alice(), &contact{"c"}, (*contact)(nil))
	if got := m.brief()[1:]; cmp.Diff([]string{"create success >c", "delete success c>"}, got) != "" {
		t.Errorf("events %q", got)
	}
	m.fail = errSink
	cs, err = o.record(alice(), before, after)
	checkIs(t, err, audit.ErrFailed)
	if cs != nil {
		t.Errorf("changes %v that were not recorded", cs)
	}
}

func TestDiffRefuses(t *testing.T) {
	o := newObject(&memory{}, "o")
	for name, pair := range map[string][2]any{
		"nothing":   {nil, nil},
		"numbers":   {1, 2},
		"two types": {contact{}, profile{}},
		"bad name": {struct {
			A int `audit:"two words"`
		}{1}, struct {
			A int `audit:"two words"`
		}{2}},
		"bad option": {struct {
			A int `audit:"a,secret"`
		}{1}, struct {
			A int `audit:"a,secret"`
		}{2}},
		"unexported": {struct {
			a int `audit:"a"`
		}{1}, struct {
			a int `audit:"a"`
		}{2}},
		"name twice": {struct {
			A, B int `audit:"a"`
		}{1, 2}, struct {
			A, B int `audit:"a"`
		}{2, 3}},
		"through a nil": {struct{ *Contact }{}, struct{ *Contact }{&Contact{"x"}}},
	} {
		_, err := o.record(alice(), pair[0], pair[1])
		if !errors.Is(err, audit.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := o.record(context.Background(), contact{"a"}, contact{"b"})
	checkIs(t, err, audit.ErrNoActor)
}

// A Contact is embedded as a pointer.
type Contact struct {
	Email string `audit:"email"`
}

// A decimal has an Equal method and several forms of one number.
type decimal struct {
	digits []int
	scale  *int
}

func (d decimal) Equal(o decimal) bool { return len(d.digits) == len(o.digits) }
func (d decimal) String() string       { return fmt.Sprint("decimal ", len(d.digits)) }

type node struct {
	Name string
	Next *node
	Pin  string `audit:"pin,sensitive"`
}

type account struct {
	Amount  decimal            `audit:"amount"`
	Secret  decimal            `audit:"secret,sensitive"`
	Total   *big.Rat           `audit:"total"`
	Size    big.Float          `audit:"size"`
	Ratio   float64            `audit:"ratio"`
	Times   []time.Time        `audit:"times"`
	Counts  map[string]*int    `audit:"counts"`
	Any     any                `audit:"any"`
	List    []string           `audit:"list"`
	Deep    map[string][]*node `audit:"deep"`
	private int
}

// Diff shows no change if a reader of the log could not see a difference.
func TestDiffOfEqualValues(t *testing.T) {
	now := time.Now()
	ring := func() *node { n := &node{Name: "a"}; n.Next = n; return n }
	make := func(zone *time.Location, list []string, prec uint) account {
		return account{
			Amount: decimal{digits: []int{6, 0}, scale: new(1)}, Secret: decimal{digits: []int{1}}, Total: big.NewRat(2, 4), Size: *new(big.Float).SetPrec(prec).SetInt64(3),
			Ratio: math.NaN(), Times: []time.Time{now.In(zone)}, Counts: map[string]*int{"a": new(1)}, Any: any(now.In(zone)), List: list,
			Deep: map[string][]*node{"k": {{Name: "x"}, ring()}}, private: len(list),
		}
	}
	m := &memory{}
	o := newObject(m, "account")
	before, after := make(time.UTC, nil, 53), make(time.FixedZone("x", 3600), []string{}, 64)
	if cs, err := o.record(alice(), before, after); cs != nil || err != nil || len(m.events) != 0 {
		t.Errorf("changes %+v, %v", cs, err)
	}
}

// Diff sees each difference, however deep, and shows the values.
func TestDiffSeesEveryDifference(t *testing.T) {
	for name, c := range map[string]struct {
		before, after account
		old, new      string
	}{
		"equal method": {account{Amount: decimal{digits: []int{1}}}, account{Amount: decimal{digits: []int{1, 2}}}, "decimal 1", "decimal 2"},
		"big":          {account{Total: big.NewRat(1, 2)}, account{Total: big.NewRat(1, 3)}, "1/2", "1/3"},
		"nil":          {account{}, account{Total: big.NewRat(1, 3)}, "<nil>", "1/3"},
		"pointer":      {account{Counts: map[string]*int{"a": new(1)}}, account{Counts: map[string]*int{"a": new(2)}}, "map[a:1]", "map[a:2]"},
		"key":          {account{Counts: map[string]*int{"a": new(1)}}, account{Counts: map[string]*int{"b": new(1)}}, "map[a:1]", "map[b:1]"},
		"type":         {account{Any: 1}, account{Any: "1x"}, "1", "1x"},
		"length":       {account{List: []string{"a"}}, account{List: []string{"a", "b"}}, "[a]", "[a b]"},
		"nested": {
			account{Deep: map[string][]*node{"k": {{Name: "x", Next: &node{Name: "y", Pin: "1234"}}}}},
			account{Deep: map[string][]*node{"k": {{Name: "x", Next: &node{Name: "z", Pin: "1234"}}}}},
			"map[k:[{x {y <nil> ***} ***}]]", "map[k:[{x {z <nil> ***} ***}]]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cs, err := newObject(&memory{}, "account").record(alice(), c.before, c.after)
			if err != nil || len(cs) != 1 || cs[0].Old != c.old || cs[0].New != c.new {
				t.Errorf("%+v, %v, want %s > %s", cs, err, c.old, c.new)
			}
		})
	}
}

// An Equal method that panics, or that has another form, does not decide.
type odd struct{ N int }

func (odd) Equal(other odd) bool { panic(other.N) }

func TestDiffSurvivesMethods(t *testing.T) {
	type holder struct {
		O odd `audit:"o"`
	}
	o := newObject(&memory{}, "x")
	if cs, err := o.record(alice(), holder{odd{1}}, holder{odd{1}}); cs != nil || err != nil {
		t.Errorf("%+v, %v", cs, err)
	}
	if cs, err := o.record(alice(), holder{odd{1}}, holder{odd{2}}); len(cs) != 1 || err != nil {
		t.Errorf("%+v, %v", cs, err)
	}
}

func TestNewNeedsALog(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, audit.ErrInvalid) || err.Error() != "diff: Log is missing" {
			t.Errorf("panic %v", err)
		}
	}()
	diff.New(nil)
}
