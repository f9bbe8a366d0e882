package logscan

// Poison reports whether this is a build with -tags logscanpoison.
const Poison = poison
