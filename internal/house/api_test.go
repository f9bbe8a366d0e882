package house_test

import "testing"

func TestAPIListing(t *testing.T) {
	const code = "package retry\n\n// Do does.\nfunc Do() {}\n\n// P is.\ntype P struct {\n\tMax, min int\n}\n"
	bites(t, "api listing", files{"retry/retry.go": code, "testdata/api/retry.txt": "func Done()\n"},
		"testdata/api/retry.txt: lacks \"func Do()\"")
	bites(t, "api listing", files{"retry/retry.go": code, "testdata/api/retry.txt": "func Done()\n"},
		"testdata/api/retry.txt: contains \"func Done()\", the code does not")
	bites(t, "api listing", files{"testdata/api/retry.txt": "func Done()\n"}, "there is no such package")
	accepts(t, "api listing", files{
		"retry/retry.go": code, "testdata/api/retry.txt": "func Do()\ntype P struct\ntype P, member Max int\n",
	})
}
