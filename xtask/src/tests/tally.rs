//! Counting tests over several runners.

use std::fmt;

use crate::process::say;

/// How many tests passed and failed so far.
#[derive(Default)]
pub struct Tally {
    passed: usize,
    failed: usize,
    names: Vec<String>,
}

impl Tally {
    /// A check that counts as one test.
    pub fn check(&mut self, name: &str, work: impl FnOnce() -> anyhow::Result<()>) {
        say(name);
        match work() {
            Ok(()) => self.passed += 1,
            Err(error) => self.fail(name, &error),
        }
    }

    /// A check that counts its own tests; that it cannot run is one failure more.
    pub fn suite(&mut self, name: &str, work: impl FnOnce(&mut Tally) -> anyhow::Result<()>) {
        say(name);
        let before = self.failed;
        if let Err(error) = work(self) {
            self.fail(name, &error);
        } else if self.failed > before {
            self.names.push(name.to_owned());
        }
    }

    fn fail(&mut self, name: &str, error: &anyhow::Error) {
        say(format!("{name}: {error:#}"));
        self.failed += 1;
        self.names.push(name.to_owned());
    }

    /// Takes the counts from a runner's closing line: libtest's `test result: ok. 3 passed; 0 failed; …`,
    /// the golden tests' `3 passed, 0 failed`, and node's `ℹ pass 3`, `ℹ fail 0`.
    pub fn count(&mut self, line: &str) {
        let line = line.trim();
        let golden = line.ends_with(" failed") && line.starts_with(|c: char| c.is_ascii_digit());
        if let Some(result) = line.strip_prefix("test result:").or(golden.then_some(line)) {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
        } else if let Some(passed) = line.strip_prefix("ℹ pass ") {
            self.passed += passed.parse::<usize>().unwrap_or(0);
        } else if let Some(failed) =
            line.strip_prefix("ℹ fail ").or_else(|| line.strip_prefix("ℹ cancelled "))
        {
            self.failed += failed.parse::<usize>().unwrap_or(0);
        }
    }

    pub fn failures(&self) -> usize {
        self.failed
    }

    /// The suites and checks in which something failed.
    pub fn failed_names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn number_before(text: &str, word: &str) -> usize {
    let Some((before, _)) = text.split_once(word) else { return 0 };
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_closing_lines_of_both_runners() {
        let mut tally = Tally::default();
        for line in [
            "running 12 tests",
            "test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            "5 passed, 1 failed",
            "FAIL llama: 2 of 3 tensors failed",
            "ℹ tests 4",
            "ℹ pass 3",
            "ℹ fail 1",
            "ℹ cancelled 0",
        ] {
            tally.count(line);
        }
        assert_eq!(tally.to_string(), "18 passed, 4 failed");
    }

    #[test]
    fn a_suite_that_cannot_run_is_a_failure() {
        let mut tally = Tally::default();
        tally.suite("browser tests", |_| anyhow::bail!("no browser"));
        tally.check("formatting", || Ok(()));
        assert_eq!(tally.to_string(), "1 passed, 1 failed");
        assert_eq!(tally.failed_names(), ["browser tests"]);
    }
}
