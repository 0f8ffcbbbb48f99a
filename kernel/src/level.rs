//! Which of a processor's instruction sets kernels use: the best it has, or the one that `CHANDLER_KERNELS` names.
//!
//! A lower one gives what other processors compute, which tests and a report of a fault need.

use std::env::VarError;
use std::sync::OnceLock;

/// The variable that names a level.
pub const VARIABLE: &str = "CHANDLER_KERNELS";

/// Instruction sets that kernels are written or compiled for; each has those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Those that every processor of its kind has; products are the `gemm` crate's, which looks for itself.
    Portable,
    /// Eight floats a vector, with fused multiplication and addition.
    Avx2,
    /// Sixteen floats a vector, and products written for it.
    Avx512,
    /// Products on tile registers besides.
    Amx,
}

impl Level {
    const ALL: [Level; 4] = [Level::Portable, Level::Avx2, Level::Avx512, Level::Amx];

    /// Its value of [`VARIABLE`].
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Amx => "amx",
        }
    }

    /// The best that this processor has.
    pub fn best() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            use super::gemm::avx512;
            match () {
                () if avx512::amx::detected() => return Level::Amx,
                () if pulp::x86::V4::try_new().is_some() => return Level::Avx512,
                () if pulp::x86::V3::try_new().is_some() => return Level::Avx2,
                () => {}
            }
        }
        Level::Portable
    }

    /// The levels of this processor, the best one last.
    pub fn available() -> impl Iterator<Item = Level> {
        let best = Level::best();
        Level::ALL.into_iter().filter(move |level| *level <= best)
    }

    /// The level that a value of [`VARIABLE`] asks for; the best one without a value.
    fn asked_for(value: Option<&str>) -> Result<Level, String> {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(Level::best()) };
        let names =
            |levels: &mut dyn Iterator<Item = Level>| levels.map(Level::name).collect::<Vec<_>>().join(", ");
        let Some(level) = Level::ALL.into_iter().find(|level| level.name() == value) else {
            let all = names(&mut Level::ALL.into_iter());
            return Err(format!("{VARIABLE} is `{value}`; allowed are {all}"));
        };
        if level > Level::best() {
            let available = names(&mut Level::available());
            return Err(format!(
                "{VARIABLE} is `{value}`, which this processor does not have; it has {available}"
            ));
        }
        Ok(level)
    }
}

fn chosen() -> &'static Result<Level, String> {
    static CHOSEN: OnceLock<Result<Level, String>> = OnceLock::new();
    CHOSEN.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(value) => Level::asked_for(Some(&value)),
        Err(VarError::NotPresent) => Level::asked_for(None),
        Err(VarError::NotUnicode(value)) => Level::asked_for(Some(&value.to_string_lossy())),
    })
}

/// Checks [`VARIABLE`] before any kernel runs.
///
/// # Errors
/// A sentence, if it names no level, or one that this processor does not have.
pub fn check() -> Result<Level, String> {
    chosen().clone()
}

/// The level that kernels run on.
///
/// # Panics
/// If [`check`] refuses the variable, which programs ask first.
#[inline]
pub fn level() -> Level {
    match chosen() {
        Ok(level) => *level,
        Err(message) => panic!("{message}"),
    }
}

/// Whether kernels may use the instructions of a level.
#[inline]
pub fn has(wanted: Level) -> bool {
    level() >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_what_comes_before_its_best() {
        for level in Level::available() {
            assert_eq!(Level::asked_for(Some(level.name())), Ok(level));
        }
        assert_eq!(Level::asked_for(None), Ok(Level::best()));
        assert_eq!(Level::asked_for(Some("")), Ok(Level::best()));
    }

    #[test]
    fn other_values_are_refused_by_a_sentence() {
        let message = Level::asked_for(Some("AVX")).unwrap_err();
        assert_eq!(message, "CHANDLER_KERNELS is `AVX`; allowed are portable, avx2, avx512, amx");
        for level in Level::ALL.into_iter().filter(|level| *level > Level::best()) {
            let message = Level::asked_for(Some(level.name())).unwrap_err();
            assert!(message.contains("does not have; it has portable"), "{message}");
        }
    }
}
