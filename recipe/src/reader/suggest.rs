//! What an unknown word was probably meant to be.

use crate::args::{self, accepted, tokens};
use crate::problem::Problem;

/// The problem of a key nobody knows. `mark` stands before keys where they are flags.
pub fn unknown(key: &str, mark: &str) -> Problem {
    match closest(&key.replace('-', "_"), known_keys()) {
        Some(known) => Problem::of(
            key,
            format!("`{mark}{key}` is not an argument; did you mean `{mark}{known}`?"),
            format!("没有名为 `{mark}{key}` 的参数；是否想写 `{mark}{known}`？"),
        ),
        None => Problem::of(
            key,
            format!(
                "`{mark}{key}` is not an argument; remove it or see docs/arguments.md for those there are"
            ),
            format!("没有名为 `{mark}{key}` 的参数；请删除，或在 docs/arguments.md 中查看全部参数"),
        ),
    }
}

fn known_keys() -> impl Iterator<Item = &'static str> {
    let arguments = args::arguments().iter().map(|argument| argument.key);
    arguments.chain(accepted::all().map(|accepted| accepted.key)).chain(tokens::keys())
}

/// What is longer is no slip, and takes long to compare.
const LONGEST: usize = 200;

/// Of the names there are, the one that fewest edits make of `word`, if few enough to be a slip: one, and one more for
/// every five characters. The case of letters does not count.
pub fn closest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.trim().to_ascii_lowercase();
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let most = 1 + length / 5;
    // As many edits are needed at least as one is longer than the other.
    let near = names.into_iter().filter(|name| name.chars().count().abs_diff(length) <= most);
    let names = near.map(|name| (distance(&word, &name.to_ascii_lowercase()), name));
    let (distance, name) = names.min_by_key(|(distance, _)| *distance)?;
    // With as many edits as letters anything is made of anything.
    (distance <= most && distance < length).then_some(name)
}

/// `; did you mean …?` in both languages where a name is near, else nothing.
pub(crate) fn offer<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> (String, String) {
    let Some(name) = closest(word, names) else { return Default::default() };
    (format!("; did you mean `{name}`?"), format!("；是否想写 `{name}`？"))
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
        assert_eq!(closest("learning_rat", known_keys()), Some("learning_rate"));
        assert_eq!(closest("lora_rnk", known_keys()), Some("lora_rank"));
        assert_eq!(closest("favourite_colour", known_keys()), None);
        assert_eq!(closest("Qwen3", ["qwen", "qwen3"]), Some("qwen3"));
        assert_eq!(closest("x", ["a", "b"]), None);
    }
}
