package semver_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/redoubt-go/redoubt/semver"
)

// deployment decides what may be deployed to an environment that runs a
// version now. Everywhere the version must be on the list of those released
// and not go back; production takes only the first patch of a minor version
// and at most a minor step at once.
func deployment(env string, running semver.Version, released semver.Range) semver.Rule {
	rules := []semver.Rule{semver.In(released), semver.NoDowngrade(running)}
	if env == "production" {
		rules = append(rules, semver.Stable, firstPatch, semver.MaxStep(running, semver.Minor))
	}
	return semver.Rules(rules...)
}

// A deployment gate: an allow-list, and stricter rules for production.
// Versions are compared as versions, so v1.3.0 is on the list of 1.3.0, and
// 1.4.0-rc.0 is not taken for a first patch because it ends in ".0".
func Example_deploymentGate() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	running := semver.New(1, 2, 0)
	released := semver.Exactly(
		semver.New(1, 1, 0), semver.New(1, 2, 0), semver.New(1, 3, 0), semver.New(1, 3, 1),
		semver.MustParse("1.4.0-rc.0"), semver.New(2, 0, 0),
	)
	gate := deployment("production", running, released)
	for _, tag := range []string{"v1.3.0", "1.3.1", "1.4.0-rc.0", "1.1.0", "2.0.0", "1.5.0", "1.3.0\n"} {
		v, err := semver.AllowV.Parse(tag)
		if err == nil {
			err = gate(v)
		}
		if err != nil {
			reasons := strings.Split(err.Error(), "\n")
			fmt.Printf("%q refused: %s\n", tag, reasons[0])
			continue
		}
		log.Info("deploy", "from", running, "to", v)
	}
	// Output:
	// msg=deploy from=1.2.0 to=1.3.0
	// "1.3.1" refused: not the first patch of its minor version
	// "1.4.0-rc.0" refused: semver: 1.4.0-rc.0: pre-release not allowed (stable)
	// "1.1.0" refused: semver: 1.1.0: below every allowed version (no downgrade from 1.2.0)
	// "2.0.0" refused: semver: 2.0.0: too large a step (at most a minor step from 1.2.0)
	// "1.5.0" refused: semver: 1.5.0: excluded (in "1.1.0 || 1.2.0 || >=1.3.0 <1.3.2 || 2.0.0 || 1.4.0-rc.0")
	// "1.3.0\n" refused: semver: version "1.3.0\n": syntax error at byte 5
}
