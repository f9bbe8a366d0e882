package logscan

import (
	"bytes"
	"fmt"
	"strings"
)

var errContainer = fmt.Errorf("%w: container log", ErrMalformed)

type containerParser struct{ json jsonParser }

// ContainerLog returns a parser for the logs of containers: the CRI format of
// containerd and CRI-O, and the json-file format of Docker. The fields are
// message and stream, which is "stdout" or "stderr". [Record.Time] returns the
// time. With [JoinParts], a record is a whole message, of any number of parts.
//
// Sources: the Kubernetes documents on CRI logging, and Docker's json-file
// logging driver.
func ContainerLog() Parser {
	return &containerParser{*JSON("log", "stream", "time").(*jsonParser)}
}

// JoinParts returns a Joiner for the parts of long messages in the logs of
// containers. A part has the tag P in CRI, and no newline at its end in Docker.
// The parts of two streams of a container must not be interleaved.
func JoinParts() *Joiner {
	return &Joiner{Start: func([]byte) bool { return true }, More: func(line []byte) bool {
		if len(line) > 0 && line[0] == '{' {
			return bytes.HasPrefix(line, []byte(`{"log":"`)) && !endsLine(line)
		}
		_, tag, _, ok := criLine(line)
		return ok && string(tag) == "P"
	}}
}

// endsLine reports whether the log of a line of Docker ends with a newline.
func endsLine(line []byte) bool {
	i := bytes.Index(line, []byte(`","stream":`)) // a quote within the log has a backslash
	if i < 1 || line[i-1] != 'n' {
		return false
	}
	slashes := 0
	for slashes < i-1 && line[i-2-slashes] == '\\' {
		slashes++
	}
	return slashes%2 == 1
}

// Container returns the parts of the path of a log of Kubernetes:
// /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log, or
// /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log.
func Container(path string) (namespace, pod, container string, ok bool) {
	dir, file, _ := cutLast(path, "/")
	if name, found := strings.CutSuffix(file, ".log"); found && strings.Count(name, "_") == 2 {
		pod, rest, _ := strings.Cut(name, "_")
		namespace, rest, _ := strings.Cut(rest, "_")
		container, id, found := cutLast(rest, "-")
		return namespace, pod, container, found && len(id) == 64
	}
	dir, container, _ = cutLast(dir, "/")
	_, name, _ := cutLast(dir, "/")
	if strings.Count(name, "_") != 2 || container == "" || !strings.Contains(file, ".log") {
		return "", "", "", false
	}
	namespace, rest, _ := strings.Cut(name, "_")
	pod, _, _ = strings.Cut(rest, "_")
	return namespace, pod, container, true
}

// cutLast divides s at the last sep. Without sep, all of s is after it.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(sep):], true
}

// criLine divides TIME STREAM TAG MESSAGE.
func criLine(b []byte) (stamp, tag, rest []byte, ok bool) {
	stamp, b, _ = bytes.Cut(b, space)
	stream, b, _ := bytes.Cut(b, space)
	tag, rest, _ = bytes.Cut(b, space)
	tag, _, _ = bytes.Cut(tag, []byte{':'}) // further tags may follow
	return stamp, tag, rest, (string(stream) == "stdout" || string(stream) == "stderr") && (string(tag) == "F" || string(tag) == "P")
}

// Parse implements Parser.
func (p *containerParser) Parse(r *Record) error {
	r.reset()
	line := r.Line
	parts := bytes.IndexByte(line, '\n') >= 0
	if len(line) > 0 && line[0] == '{' {
		return p.docker(r, parts)
	}
	first, rest, _ := bytes.Cut(line, newline)
	stamp, _, message, ok := criLine(first)
	if !ok {
		return errContainer
	}
	if parts {
		start := len(r.scratch)
		r.scratch = append(r.scratch, message...)
		for ok && len(rest) > 0 {
			var part []byte
			part, rest, _ = bytes.Cut(rest, newline)
			_, _, part, ok = criLine(part)
			r.scratch = append(r.scratch, part...)
		}
		message = r.scratch[start:len(r.scratch):len(r.scratch)]
	}
	var t TimeParser
	if !ok || t.Set(r, stamp) != nil {
		return errContainer
	}
	r.Set("message", message)
	stream := line[len(stamp)+1 : len(stamp)+7]
	r.Set("stream", stream[:len(stream):len(stream)])
	return nil
}

// docker reads lines of JSON objects.
func (p *containerParser) docker(r *Record, parts bool) error {
	line := r.Line
	defer func() { r.Line = line }()
	var whole []byte
	for rest := line; ; {
		r.Line, rest, _ = bytes.Cut(rest, newline)
		if err := p.json.Parse(r); err != nil {
			return err
		}
		message, stamp, stream := r.Get("log"), r.Get("time"), r.Get("stream")
		if parts {
			// Parse reuses the scratch. The message is as long as
			// the line at most.
			whole = append(whole, message...)
			message = whole
		}
		if len(rest) > 0 {
			continue
		}
		var t TimeParser
		if message == nil || t.Set(r, stamp) != nil {
			return errContainer
		}
		message = bytes.TrimSuffix(message, newline)
		r.fields = r.fields[:0]
		r.Set("message", message[:len(message):len(message)])
		r.Set("stream", stream)
		return nil
	}
}
