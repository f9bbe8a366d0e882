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
// A line is delivered when its newline is there, or when another file has
// replaced the file.
//
// # Continue after a restart
//
// Save a [Checkpoint] after handling a record, as often as you like. The next
// run begins after that record: every record is handled at least once. Keep the
// checkpoint in a folder of its own. Before the loop:
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
// # Rotation
//
// If the file was renamed or removed, a [Follower] reads it to its end, and for
// Linger longer, before it opens the file in its place. Files that came and
// were renamed in between are found among the rotated files, by their bytes: a
// renamed or gzipped file is recognized, and a file that reuses a name or an
// inode is not confused with another. Until there is a new file, the removed
// file stays open.
//
// If the file was truncated (copytruncate), a Follower first reads the rest of
// its rotated copy, if the copy exists and is not compressed. Then it reads the
// file from its beginning. It reports a [*GapError], because the bytes written
// between the copy and the cut are lost.
//
// # Limits
//
//   - A rotation during the search for rotated files can be missed, without a
//     [*GapError].
//   - Files that rotate faster than Linger can be deleted before they are read.
//   - After a restart, a rotated file is found again if it is plain or gzip.
//   - After a failed read, the file is read again only if it is cut or
//     replaced.
//   - If Path is a symbolic link or contains [, * or ?, set Rotated: the
//     default looks beside the link, and takes Path for a pattern.
//   - A FIFO with the name of a rotated file blocks the loop.
//
// # Choosing values
//
//   - [Follower.Poll]: the delay of a line. Polling works on every file system
//     and costs five system calls; [Follower.Wake] can shorten it.
//   - [Follower.Linger]: longer than the writer takes to open the new file
//     after a rotation. Records of the new file wait as long.
//
// # Errors
//
// The loop is called with the errors of [logscan.Scanner.Records]. A
// [*GapError] comes within a [*logscan.InputError], and the loop may continue
// after it. An invalid Follower, such as a Follower without a Path, is a single
// error. If the file does not exist, the loop waits for it.
//
// # Concurrency and cost
//
// A Follower is a value: many loops may use it, and it starts no goroutines. A
// line costs as much as in package logscan.
//
// Costs and formats: docs/logscan.md.
package follow
