// Package scan divides a scan of logs between machines: a map-reduce with a
// work queue on NATS JetStream. Results are merged in a fixed order.
//
// logscan.Reduce ends at one machine. A queue of file names goes further until
// a worker dies, a result arrives twice, or results arrive in another order. In
// this package a part of an input is a task. A dead worker's task is given to
// another worker, each result counts once, and results are merged in the order
// of the inputs. The answer is the same, byte by byte, for any number of
// workers and any failures that leave one alive.
//
// # Describe the scan
//
// The coordinator and the workers share a [Job], usually as one program with a
// flag. The accumulator is the accumulator of logscan.Reduce with a binary
// form, such as a sketch of package logscan/sketch.
//
//	job := scan.Job[*levels]{
//		Name:    "levels-2026-11",
//		Program: "levels/1",
//		Scanner: logscan.Scanner{Parser: logscan.JSON("level")},
//		Open:    open,
//		New:     newLevels,
//	}
//
// # Run workers, any number on any machine
//
//	err := job.Work(ctx, js)
//
// # Run the scan
//
// After a crash, run the same command again: it continues.
//
//	total, err := job.Run(ctx, js, logscan.Walk(logs, nil))
//
// # Follow the progress
//
//	job.OnEvent = func(_ context.Context, e scan.Event) {
//		if e.Kind == scan.KindMerged {
//			fmt.Println(e.Merged, "of", e.Listed, "tasks")
//		}
//	}
//
// # Scan objects of a store
//
// [Ranged] makes an opener of requests for ranges. The example of Ranged is a
// client of an S3-compatible store.
//
//	rc := scan.Ranged(size, func(offset, end int64) (io.ReadCloser, error) {
//		return store.get(ctx, name, version, offset, end)
//	})
//
// # Choosing values
//
//   - [Job].Program: change it with the parser and with the accumulator. A
//     worker of another program refuses the scan.
//   - [Job].Task: a task should take some seconds. Compressed inputs are not
//     divided.
//   - [Job].Ahead: several times the number of workers. It bounds the results
//     that wait in the stream.
//   - [Job].AckWait: the time that the task of a dead worker lies idle.
//   - [Job].Replicas: 3 in a cluster, so that the scan survives a server.
//   - Workers: a process runs a task at a time. It uses all processors for
//     uncompressed files. For other inputs, run a process per processor.
//
// # Errors
//
// [Job.Run] returns a [*TaskError] for each part of an input that failed
// permanently, with the answer of all other parts. [ErrVersion], [ErrChanged]
// and [ErrReplaced] keep different programs, inputs and coordinators from
// mixing their results.
//
// # Concurrency and cost
//
// All methods may be called concurrently. Run holds two accumulators and the
// names of Ahead tasks. An accumulator may have 64 MiB in its binary form. A
// task costs about ten requests to the servers.
//
// Costs, formats and sources: contrib/nats/scan/README.md.
package scan
