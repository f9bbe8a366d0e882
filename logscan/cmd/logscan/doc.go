// Command logscan searches and counts log files of any common format, also
// compressed and growing files.
//
//	logscan where [CONDITION...] [-- FILE...]
//	logscan count [-by FIELD] [-where CONDITION]... [FILE...]
//	logscan top [-by FIELD] [-n N] [-where CONDITION]... [FILE...]
//	logscan quantile FIELD [-by FIELD] [-where CONDITION]... [FILE...]
//	logscan detect [-limit N] [-per DURATION] [-by FIELD] [FILE...]
//	logscan fields [FILE...]
//
// Install it with
//
//	go install github.com/redoubt-go/redoubt/logscan/cmd/logscan@latest
//
// # Tasks
//
// The clients with most requests:
//
//	logscan top -by addr access.log*
//
// The slowest routes:
//
//	logscan quantile latency_ms -by route app.json
//
// Errors by minute:
//
//	logscan count -by minute -where level=ERROR app.log
//
// Who guesses passwords:
//
//	logscan detect /var/log/auth.log*
//
// Errors as they happen:
//
//	logscan where -follow level=ERROR -- app.log
//
// # Files
//
// Without files, and for the file "-", logscan reads standard input. A folder
// stands for all regular files in it; symbolic links in it are not followed.
// gzip and bzip2 are unpacked, and zstd and xz by the programs of these names.
// A file that cannot be read is reported, the others are read, and the exit
// status is 2. detect reads up to 200 files in the order of the times of their
// records.
//
// # Formats
//
// The format of each line is recognized: exports of journald, JSON, logs of
// containers, access logs (CLF), syslog, error logs of Apache and nginx, CEF,
// and logfmt. Other lines have no fields. -f names a format: journal, json,
// container, clf, syslog, error, cef, logfmt, or a pattern such as '<time>
// [<level>] <message>'. -tz is the time zone of times without a zone. logscan
// fields lists the fields of a log, with an example each.
//
// Every record also has the fields line, source (the file), and minute, hour
// and day of its time. A dot leads into objects of JSON: user.id.
//
// # Conditions
//
// A condition is a FIELD, an operator and a value:
//
//   - = and != compare text.
//   - <, <=, > and >= compare numbers, and durations such as 1.5s.
//   - ~ and !~ match a regular expression.
//
// Spaces around the operator are ignored. A condition without an operator is a
// text that the line contains. To search for a text with an operator, such as
// user=root, write line~user=root. Without "--", the arguments of where are
// files from the first that exists on. All conditions must hold. -since and
// -until bound the time; their values are times of RFC 3339 or durations before
// now.
//
// # Output
//
// The output is text in columns. -json prints an object per line. Text from
// logs is quoted if it contains control characters. where prints the lines as
// they are, and with -json their fields. Counts of top are exact unless a
// column "at most" shows by how much they may be too high.
//
// # Exit status
//
// As grep: 0 if something was found, 1 if nothing was, 2 after an error.
package main
