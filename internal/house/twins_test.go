package house_test

import "testing"

func TestTwins(t *testing.T) {
	with := func(comment, example string) files {
		return files{
			"retry/doc.go":          "// Package retry retries.\n//\n" + comment + "package retry\n",
			"retry/example_test.go": "package retry_test\n\nfunc Example() {\n\t" + example + "\n}\n",
		}
	}
	bites(t, "compiled twins", with("//\tuse()\n", "useOther()"), "retry/doc.go: example code is not compiled")
	bites(t, "compiled twins", with("//\tuse()\n//\n// And:\n//\n//\tuseMore()\n", "use()"), "useMore()")
	accepts(t, "compiled twins", with("//\tuse()\n", "use()"))
	accepts(t, "compiled twins", with("//\tgo run ./cmd\n//\n// And:\n//\n//\t2026-01-02 level=info\n", "use()")) // no Go
	bites(t, "compiled twins", files{"docs/retry.md": "```go\nuse()\n```\n"}, "docs/retry.md: example code")
	bites(t, "compiled twins", files{"README.md": "```go\nuse()\n```\n"}, "README.md: example code is not compiled anywhere")
	bites(t, "compiled twins", files{"llms.txt": "```go\nuse()\n```\n"}, "llms.txt: example code")
	accepts(t, "compiled twins", files{"docs/service.md": "```go\npackage main\n\nfunc main() {}\n```\n"}) // compiled by itself
	bites(t, "compiled twins", files{"contrib/x/README.md": "```go\npackage main\n```\n"}, "contrib/x/README.md: example code")
	accepts(t, "compiled twins", files{"README.md": "```go\nuse()\n```\n", "x_test.go": "package x\n\nfunc f() {\n\tuse()\n}\n"})
}

func TestExamples(t *testing.T) {
	const code = "package retry\n\n// Policy is.\ntype Policy struct{}\n\n// New makes.\nfunc New() *Policy { return nil }\n"
	example := func(body string) files {
		return files{"retry/retry.go": code, "retry/example_test.go": "package retry_test\n\n" + body}
	}
	bites(t, "examples", example(""), "retry: no runnable ExampleNew")
	bites(t, "examples", example(""), "retry: no runnable example uses Policy")
	bites(t, "examples", example("func ExampleNew() {\n\tretry.New()\n}\n"), "retry: no runnable ExampleNew") // no output
	accepts(t, "examples", example("func ExampleNew() {\n\tretry.New()\n\t// Output:\n}\n"))
}
