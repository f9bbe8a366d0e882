package house_test

import "testing"

func TestState(t *testing.T) {
	with := func(code string) files { return files{"retry/retry.go": "package retry\n\n" + code} }
	bites(t, "state", with("var n int\n\nfunc f() { n++ }\n"), "retry/retry.go:5: changes the package variable n")
	bites(t, "state", with("var n []int\n\nfunc f() { n[0] = 1 }\n"), "changes the package variable n")
	bites(t, "state", with("var mu sync.Mutex\n"), "retry/retry.go:3: package variable of type sync.Mutex")
	bites(t, "state", with("func init() {}\n"), "retry/retry.go:3: func init")
	bites(t, "state", with("func f() { os.Getenv(\"X\") }\n"), "reads the environment")
	accepts(t, "state", with("var n int\n\nfunc f() { n := 0; n++ }\n"))

	bites(t, "exported variables", with("var Full = 1\n"), "retry/retry.go:3: exported variable Full")
	accepts(t, "exported variables", with("var ErrFull = errors.New(\"retry: full\")\n\nvar full = 1\n"))

	bites(t, "markers", with("//nolint\nfunc f() {}\n"), "retry/retry.go:3: //nolint")
	bites(t, "markers", with("// TODO: f.\nfunc f() {}\n"), "retry/retry.go:3: TODO")
	accepts(t, "markers", with("var ctx = context.TODO()\n"))
}
