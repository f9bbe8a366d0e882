// Package claims contains a test for each sentence about another library in
// README.md. A test shows both halves of its sentence: the behavior of the
// present version of the other library, and the behavior of redoubt. If a
// library mends its behavior, the test fails, and the sentence goes.
package claims
