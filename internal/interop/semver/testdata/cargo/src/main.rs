// Answers questions on standard input with the crate semver. Each line is a
// requirement, a tab, and versions with spaces between. The answer is a line: for
// each version 1 or 0, or - if the requirement is invalid.
use semver::{Version, VersionReq};
use std::io::{self, BufRead, Write};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (text, versions) = line.split_once('\t').expect("a tab");
        let answer = match VersionReq::parse(text) {
            Err(_) => "-".to_string(),
            Ok(req) => versions
                .split(' ')
                .map(|v| if req.matches(&Version::parse(v).expect("a version")) { '1' } else { '0' })
                .collect(),
        };
        writeln!(out, "{answer}")?;
    }
    out.flush()
}
