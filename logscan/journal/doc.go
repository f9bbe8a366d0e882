// Package journal reads the journal of systemd (journald) for package logscan,
// from the export format of journalctl.
//
// Distributions such as Debian 12 write no /var/log/auth.log any more. The
// journal has the same messages, with the unit, the process and the user that
// the kernel knows.
//
// # Read an export
//
// journalctl -o export writes a file that a scan recognizes by its first bytes:
//
//	s := logscan.Scanner{
//		Decoders: []logscan.Decoder{journal.Export()},
//		Parser:   journal.Parser(),
//	}
//	for rec, err := range s.Records(ctx, logscan.Files("journal.export")) {
//		if err != nil {
//			return err
//		}
//		fmt.Printf("%v %s\n", rec.Time(), rec.Get("message"))
//	}
//
// # Follow the journal of this machine
//
// [Journalctl] runs journalctl -o export. The field cursor of a record is its
// checkpoint: a later scan continues behind it.
//
//	in := journal.Journalctl(journal.Config{
//		After:  cursor,
//		Follow: true,
//		Match:  []string{"SYSLOG_IDENTIFIER=sshd"},
//	})
//
// # Errors
//
// A record is malformed if its entry has no time. Input errors report an entry
// that is cut or not in the format, and the exit of journalctl with the last
// line that it wrote to standard error.
//
// # Concurrency and cost
//
// All functions may be called concurrently. An entry is held in memory up to
// 1 MiB. Values beyond that are left out, and the field "cut" is then "true".
//
// Costs, formats and sources: docs/logscan.md.
package journal
