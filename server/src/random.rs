//! Random words, from the system's own source.

/// 32 letters and digits without look-alikes, in alphabetical order.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// `length` random characters, 5 bits each.
///
/// # Errors
/// The system has none.
pub fn word(length: usize) -> Result<String, getrandom::Error> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

/// Letters and digits of a time in Unix milliseconds and four random ones: short, fit for URLs, and in alphabetical
/// order of time.
///
/// # Errors
/// The system has no random numbers.
pub fn id(mut time: u64) -> Result<String, getrandom::Error> {
    let mut letters = [b'0'; 9];
    for letter in letters.iter_mut().rev() {
        *letter = LETTERS[(time % 32) as usize];
        time /= 32;
    }
    Ok(format!("{}-{}", String::from_utf8_lossy(&letters), word(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ() {
        let ids = [id(1_700_000_000_000), id(1_700_000_000_001), id(1_800_000_000_000)].map(Result::unwrap);
        assert!(ids.is_sorted_by(|a, b| a < b) && ids.iter().all(|id| id.len() == 14), "{ids:?}");
        assert_ne!(id(5).unwrap(), id(5).unwrap());
    }
}
