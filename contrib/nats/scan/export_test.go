package scan

import "time"

// Recode decodes a message of any kind and encodes the result.
func Recode(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, errForm
	}
	switch b[0] {
	case kindSpec:
		m, err := decodeSpec(b)
		return m.marshal(), err
	case kindTask:
		m, err := decodeTask(b)
		return m.marshal(), err
	case kindAnswer:
		m, err := decodeAnswer(b)
		return m.marshal(), err
	case kindState:
		m, err := decodeState(b)
		return m.marshal(), err
	case kindBlob:
		m, err := decodeBlob(b)
		return m.marshal(), err
	}
	return nil, errForm
}

// Messages returns a message of each kind.
func Messages() [][]byte {
	began := spec{scan: id{1, 2}, program: "levels/1"}
	part := task{
		scan: id{1, 2}, program: "levels/1", num: 7, name: "app.log", offset: 10, end: 20, size: 30, within: true,
		failure: "denied",
	}
	result := answer{task: part.digest(), attempts: 2, failure: "torn", form: []byte("form")}
	saved := state{
		scan: id{1, 2}, owner: id{3}, merged: 7, bytes: 70, lost: 1, form: []byte("form"),
		failed: []TaskError{{Name: "app.log", Offset: 10, End: 20, Attempts: 3, Text: "torn"}},
	}
	whole, parts := blob{nonce: id{4}, length: 4, data: []byte("data")}, blob{nonce: id{4}, length: 4000, parts: 2}
	return [][]byte{began.marshal(), part.marshal(), result.marshal(), saved.marshal(), whole.marshal(), parts.marshal()}
}

// Spec returns the message that begins a scan.
func Spec(program string, began time.Time) []byte {
	s := spec{scan: id{1, 2}, program: program, began: began}
	return s.marshal()
}

// ErrForm is errForm.
var ErrForm = errForm

// Clip is clip.
var Clip = clip

// TextOf is textOf.
var TextOf = textOf
