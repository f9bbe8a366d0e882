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
