// Package follow is tail -F as a loop over records: it reads a log while it
// grows, through rotation, truncation and restarts of the reader.
//
//	parser := logscan.JSON("level")
//	f := follow.Follower{Path: path, Scanner: logscan.Scanner{Parser: parser}}
//	for rec, err := range f.Records(ctx) {
//		if err != nil {
//			return err
//		}
//		handle(rec)
//	}
//
// A line is delivered when its newline is there, or when the file was left with
// an unfinished line.
//
// # Continue after a restart
//
// Save a [Checkpoint] after handling a record, as often as you like. The next
// run begins after that record: every record is handled at least once. Before
// the loop:
//
//	f := follow.Follower{Path: path}
//	if c, err := follow.LoadCheckpoint(state); err == nil {
//		f.From = &c
//	}
//
// In the loop, after handling a record:
//
//	if err := follow.SaveCheckpoint(state, rec.Checkpoint()); err != nil {
//		fmt.Println(err)
//	}
//
// # Many files
//
// A [Dir] follows all files that match patterns, also files that appear later,
// and keeps their places in one file:
//
//	d := follow.Dir{Match: []string{dir}, State: state}
//	for rec, err := range d.Records(ctx) {
//		if err != nil {
//			break
//		}
//		handle(rec)
//	}
//
// # Rotation
//
// At each change of the name, a [Follower] opens all files that had the name
// since the last look, in order, and reads them one after the other. The bytes
// of a file, not its name, decide whether it was read before: a renamed or
// compressed file is recognized. A renamed file is looked at for Linger longer,
// for late lines. The same holds after a restart: a [Checkpoint] also contains
// the files that were known.
//
// If the file was truncated (copytruncate), the rest is read from its rotated
// copy. The loop gets a [*GapError], because the bytes written between the copy
// and the cut are lost.
//
// # Limits
//
//   - Lines that are written and cut, or written and removed, between two looks
//     leave no trace. After a restart, so do files that appeared after the
//     checkpoint and are gone.
//   - Files that are equal in their first KiB and in the 64 bytes before a
//     place cannot be told apart by their bytes.
//   - After a restart, a copy of less than 32 bytes of a truncated file may be
//     read again. The loop gets a [*GapError] before.
//   - If the rest of an unfinished line comes after Linger, it is a record of
//     its own.
//   - Lines that are written to a renamed file after Linger are found at the
//     next rotation, or not at all.
//   - If a link is switched twice between two looks, or between a checkpoint
//     and a restart, the files beside the target in between are not found.
//   - A checkpoint contains at most 64 files. Beyond that, the times of files
//     decide whether they are known.
//
// # Choosing values
//
//   - [Follower.Poll]: the delay of a line. Polling works on every file system
//     and costs a system call; [Follower.Wake] can shorten it.
//   - [Follower.Linger]: longer than the writer takes to open the new file
//     after a rotation.
//   - [Follower.Rotated]: needed only for unusual names of rotated files.
//
// # Errors
//
// The loop is called with the errors of [logscan.Scanner.Records]. A
// [*GapError] comes within a [*logscan.InputError]. The loop may continue after
// both: a file that cannot be read is tried again at every look, and its error
// is reported once. An invalid Follower is a single error. If the file does not
// exist, the loop waits for it.
//
// # Concurrency and cost
//
// A Follower is a value: many loops may use it, and it starts no goroutines. A
// line costs as much as in package logscan.
//
// Costs and formats: docs/logscan.md.
package follow
