// Package follow reads a log while it is written, through rotation, truncation
// and restarts of the reader.
//
//	f := follow.Follower{Path: path, Scanner: logscan.Scanner{Parser: logscan.JSON("level")}}
//	for rec, err := range f.Records(ctx) {
//		if err != nil {
//			return err
//		}
//		handle(rec)
//	}
//
// A line is delivered when its newline is there, or the file has been replaced. A
// file that was renamed or removed is read to its end, and for Linger longer, before
// the one in its place; files that came and were renamed in between are found
// among the rotated ones, compressed or not. A file that has become shorter, or
// has other bytes where there were known ones (copytruncate), is read again from
// its beginning, after the rest of the copy that was made of it, where that is
// found among the rotated ones and not yet compressed. It is reported as a
// *GapError: what was written between the copy and the cut is lost, which no
// reader can prevent or know.
//
// What a file is, is told by its bytes: the first KiB and the 64 bytes before
// the place reached. So a file that is renamed or compressed is found again, and
// one that has taken over a number or a name is not mistaken. Among files that
// are equal up to the place, the numbers of device and inode decide, where the system
// has them.
//
// # Choosing values
//
// Poll is how late a line may come; polling costs a few system calls each time,
// works on every file system, and Wake can shorten it. Linger should be longer
// than the writer takes to open the new file after a rotation. Records of the
// new file wait as long.
//
// # Errors
//
// The loop gets what it gets from logscan.Scanner.Records, and a *GapError in an
// *logscan.InputError; it may go on after either. Only the errors of the context
// and of Scanner.Malformed are the last. A file that does not exist is waited for.
//
// # Concurrency
//
// A Follower is a value and can be used by many loops. It starts no goroutines.
//
// # Cost
//
// A look at a file in which nothing was written takes five system calls and no
// more memory. While there is something to read, a line costs what it costs
// logscan, and each 32 KiB the reading again of a KiB, to know the file.
//
// # Restarts
//
// A Checkpoint taken after a record was dealt with, and saved now and then, makes
// the next run begin after that record: at least once, never less.
package follow
