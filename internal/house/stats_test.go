package house_test

import "testing"

func TestStatistics(t *testing.T) {
	with := func(fields string) files {
		return files{"retry/stats.go": "package retry\n\ntype Stats struct {\n" + fields + "}\n\ntype Totals struct{}\n"}
	}
	const name = "\tName string `json:\"name\"`\n"
	bites(t, "statistics", with("\tCalls int `json:\"calls\"`\n"), "the first field of Stats is not Name string")
	bites(t, "statistics", with(name+"\tTotal Totals `json:\"total\"`\n"), "Stats.Total is a struct")
	bites(t, "statistics", with(name+"\tOpenFor int `json:\"openFor\"`\n"), "Stats.OpenFor has the JSON tag \"openFor\"")
	bites(t, "statistics", with(name+"\tOpenFor int\n"), "Stats.OpenFor has the JSON tag \"\"")
	bites(t, "statistics", with(name+"\tOpenFor time.Duration `json:\"open_for\"`\n"), "without its unit, _ns")
	bites(t, "statistics", with(name+"}\n\nfunc (Stats) LogValue() int {\n\treturn 0\n"), "Stats has a LogValue")
	accepts(t, "statistics", with(name+"\tOpenFor time.Duration `json:\"open_for_ns\"`\n"))
}
