//! What an unknown key was probably meant to be.

use crate::args::{self, accepted};
use crate::problem::Problem;

/// The problem of a key nobody knows.
pub fn unknown(key: &str) -> Problem {
    match closest(key) {
        Some(known) => Problem::of(
            key,
            format!("`{key}` is not an argument; did you mean `{known}`?"),
            format!("没有名为 `{key}` 的参数；是否想写 `{known}`？"),
        ),
        None => Problem::of(
            key,
            format!("`{key}` is not an argument; remove it or see docs/arguments.md for those there are"),
            format!("没有名为 `{key}` 的参数；请删除，或在 docs/arguments.md 中查看全部参数"),
        ),
    }
}

/// The known key that is fewest edits away, if few enough to be a slip.
fn closest(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    let known = args::arguments().iter().map(|argument| argument.key).chain(accepted::keys());
    let (distance, known) =
        known.map(|known| (distance(&key, known), known)).min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + key.chars().count() / 5).then_some(known)
}

/// Edits between two words: insertions, deletions, replacements, and swaps of neighbours (optimal
/// string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        assert_eq!(distance("lora_rank", "lora_rank"), 0);
        assert_eq!(distance("lora_rnak", "lora_rank"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn suggests_slips_only() {
        assert_eq!(closest("learning-rate"), Some("learning_rate"));
        assert_eq!(closest("lora_rnk"), Some("lora_rank"));
        assert_eq!(closest("favourite_colour"), None);
    }
}
