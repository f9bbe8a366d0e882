// Answers questions on standard input with the npm package semver, whose folder
// is the first argument. The second argument is "texts", "order", "default" or
// "all". Each line is a question, and each answer is a line:
//
//   texts    a text and a tab: 1 if it is a version, otherwise 0
//   order    a version, a tab, versions with spaces between: for each 1 if the
//            version is at or above it, otherwise 0
//   default  a range, a tab, versions with spaces between: for each 1 or 0, or
//            - if the range is invalid
//   all      the same with includePrerelease
const semver = require(process.argv[2])
const mode = process.argv[3]
const answers = require('fs').readFileSync(0, 'utf8').split('\n').slice(0, -1).map(line => {
  const [text, list] = line.split('\t')
  if (mode === 'texts') return semver.valid(text) === null ? '0' : '1'
  const versions = list.split(' ')
  if (mode === 'order') return versions.map(v => semver.compare(text, v) >= 0 ? 1 : 0).join('')
  const options = { includePrerelease: mode === 'all' }
  if (semver.validRange(text, options) === null) return '-'
  return versions.map(v => semver.satisfies(v, text, options) ? 1 : 0).join('')
})
process.stdout.write(answers.join('\n') + '\n')
