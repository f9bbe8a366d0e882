package follow

// File and FileSystem let tests follow files of a model.
type (
	File       = file
	FileSystem = fileSystem
)

// On returns f on a file system of a test.
func (f Follower) On(fsys FileSystem) Follower {
	f.fsys = fsys
	return f
}

// OnPause returns f with a function that is called before each pause.
func (f Follower) OnPause(fn func()) Follower {
	f.onPause = fn
	return f
}

// ErrIrregular is the error of opening a folder or a FIFO.
var ErrIrregular = errIrregular
