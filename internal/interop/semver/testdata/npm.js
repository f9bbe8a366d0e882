// Answers questions on standard input with the npm package semver, whose
// directory is the first argument. For each range and each rule for
// pre-releases it prints null if the range is invalid, else a digit per
// version: 1 if the range has it.
const semver = require(process.argv[2])
const questions = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const ask = (range, options) => {
  if (semver.validRange(range, options) === null) return null
  return questions.versions.map(v => semver.satisfies(v, range, options) ? '1' : '0').join('')
}
const sign = (a, b) => String(semver.compare(a, b) + 1)
process.stdout.write(JSON.stringify({
  package: 'semver@' + require(process.argv[2] + '/package.json').version,
  versions: questions.versions,
  valid: questions.texts.map(v => semver.valid(v) === null ? '0' : '1').join(''),
  texts: questions.texts,
  compare: questions.versions.map(v => questions.versions.map(w => sign(v, w)).join('')),
  ranges: questions.ranges.map(r => ({
    range: r,
    default: ask(r, {}),
    all: ask(r, { includePrerelease: true }),
  })),
}, null, 1) + '\n')
