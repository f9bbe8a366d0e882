package ratelimit_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func ExampleQuota() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	plan := ratelimit.Quota{N: 10_000, Unit: ratelimit.Month, Location: berlin}
	_, end := plan.Period(time.Date(2026, time.March, 29, 12, 0, 0, 0, berlin))
	fmt.Println(plan, "until", end)

	perUser := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Limit:  ratelimit.PerSecond(10),
		Quotas: []ratelimit.Quota{plan},
	})
	fmt.Println(perUser.Allow("alice"))
	// Output:
	// 10000 per month in Europe/Berlin until 2026-04-01 00:00:00 +0200 CEST
	// true
}

func ExampleUnit() {
	fmt.Println(ratelimit.Day, ratelimit.Unit(9))
	// Output: day Unit(9)
}

func ExampleNewTiers() {
	free := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(1)})
	paid := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(3)})
	tier := func(user string) int {
		if strings.HasPrefix(user, "paid:") {
			return 1
		}
		return 0
	}
	tiers := ratelimit.NewTiers(tier, free, paid)
	fmt.Println(tiers.For("eve").AllowN(2), tiers.For("paid:alice").AllowN(2))
	// Output: false true
}

func ExampleTiers_For() {
	free := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1)})
	var tiers *ratelimit.Tiers[string] = ratelimit.NewTiers(func(string) int { return 0 }, free)
	store := ratelimit.Local(tiers)
	d, err := store.TakeKey(context.Background(), "eve", 1)
	fmt.Println(d.OK, err)
	// Output: true <nil>
}

func ExampleKeyed_Reserve() {
	tokens := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(90_000)})
	r := tokens.Reserve("tenant", 4000) // an estimate
	if !r.OK() {
		fmt.Println(r.Err())
		return
	}
	used := int64(1234) // the call of the model
	r.Settle(used)
	fmt.Println(tokens.Peek("tenant").Remaining)
	// Output: 88766
}

func ExampleKeyReservation() {
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(5)})
	var r *ratelimit.KeyReservation[string] = k.For("tenant").Reserve(6)
	fmt.Println(r.Err())
	// Output: ratelimit: 6 events exceed the burst of 5/h
}

func ExampleKeyed_Set() {
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(10)})
	k.AllowN("alice", 4)
	c := k.Config()
	c.Limit = ratelimit.PerHour(100)
	fmt.Println(k.Set(c), k.Peek("alice").Remaining)
	// Output: <nil> 96
}

func ExampleWindowConfig() {
	w := ratelimit.NewWindow(ratelimit.PerHour(1))
	err := w.Set(ratelimit.WindowConfig{
		Name:    "deployments",
		Limit:   ratelimit.PerHour(2),
		OnEvent: func(_ context.Context, e ratelimit.Event) { fmt.Println(e.Name, e.Kind) },
	})
	fmt.Println(err, w.Allow(), w.Allow(), w.Allow())
	// Output:
	// deployments refused
	// <nil> true true false
}

func ExampleAdjuster() {
	perUser := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(5)})
	var store ratelimit.Store = ratelimit.Local(perUser)
	if a, ok := store.(ratelimit.Adjuster); ok {
		_ = a.PenalizeKey(context.Background(), "eve", 24*time.Hour)
	}
	fmt.Println(perUser.Allow("eve"), perUser.Allow("alice"))
	// Output: false true
}
