package house_test

import "testing"

func TestConfigurations(t *testing.T) {
	with := func(code string) files { return files{"retry/retry.go": "package retry\n\n" + code} }
	bites(t, "configurations", with("type Policy struct{ Max int }\n"), "retry/retry.go:3: Policy is comparable")
	accepts(t, "configurations", with("type Policy struct {\n\t_ [0]func()\n\tMax int\n}\n"))

	bites(t, "Validate", with("type Policy struct{ Max int }\n"), "retry/retry.go:3: Policy has no Validate")
	bites(t, "Validate", with("type Policy struct{ Max int }\n\nfunc (p Policy) Validate() bool { return true }\n"), "Policy has no Validate")
	bites(t, "Validate", with("type Transport struct{ Policy retry.Policy }\n"), "Transport has no Validate")
	accepts(t, "Validate", with("type Policy struct{ Max int }\n\nfunc (p *Policy) Validate() error { return nil }\n"))
	accepts(t, "Validate", with("type Transport struct {\n\tBase http.RoundTripper\n\tMax int\n}\n"))

	bites(t, "Name", with("type Policy struct{ OnEvent func() }\n"), "retry/retry.go:3: Policy has OnEvent and no Name")
	accepts(t, "Name", with("type Policy struct {\n\tName string\n\tOnEvent func()\n}\n"))
}
