package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/journal"
)

// inFolder runs f in a folder that contains an export.
func inFolder(f func() error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	text := entry("__CURSOR", "s=1", "__REALTIME_TIMESTAMP", stamp, "SYSLOG_IDENTIFIER", "cron", "MESSAGE", "job done")
	if err := os.WriteFile(filepath.Join(dir, "journal.export"), []byte(text), 0o600); err != nil {
		panic(err)
	}
	back, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	if err := os.Chdir(dir); err != nil {
		panic(err)
	}
	defer os.Chdir(back)
	if err := f(); err != nil {
		fmt.Println(err)
	}
}

func ExampleExport() {
	ctx := context.Background()
	inFolder(func() error {
		s := logscan.Scanner{
			Decoders: []logscan.Decoder{journal.Export()},
			Parser:   journal.Parser(),
		}
		for rec, err := range s.Records(ctx, logscan.Files("journal.export")) {
			if err != nil {
				return err
			}
			fmt.Printf("%v %s\n", rec.Time(), rec.Get("message"))
		}
		return nil
	})
	// Output: 2026-03-01 12:00:00 +0000 UTC job done
}

func ExampleParser() {
	line := `{"__REALTIME_TIMESTAMP":"` + stamp + `","MESSAGE":"job done","_COMM":"cron"}`
	rec := &logscan.Record{Line: []byte(line)}
	err := journal.Parser("_COMM").Parse(rec)
	fmt.Printf("%s %s %v\n", rec.Get("_COMM"), rec.Get("message"), err)
	// Output: cron job done <nil>
}

func ExampleJournalctl() {
	cursor := "" // of the record that was handled last
	in := journal.Journalctl(journal.Config{
		After:  cursor,
		Follow: true,
		Match:  []string{"SYSLOG_IDENTIFIER=sshd"},
	})
	for input := range in {
		fmt.Println(input.Name)
	}
	// Output: journal
}

func ExampleConfig_Validate() {
	fmt.Println(journal.Config{Match: []string{"sshd"}}.Validate())
	// Output: journal: Match[0] is "sshd", want FIELD=VALUE
}
