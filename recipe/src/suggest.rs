//! What an unknown word was probably meant to be.

use strsim::osa_distance;

use crate::text::Sentence;

/// What is longer is no slip, and takes long to compare.
const LONGEST: usize = 200;

/// Of the names there are, the one that fewest edits make of `word`, if few enough to be a slip: one, and one more for
/// every five characters. The case of letters does not count.
///
/// An edit is an insertion, a deletion, a replacement, or a swap of neighbours (optimal string alignment).
pub fn closest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.trim().to_ascii_lowercase();
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let most = 1 + length / 5;
    // As many edits are needed at least as one is longer than the other.
    let near = names.into_iter().filter(|name| name.chars().count().abs_diff(length) <= most);
    let names = near.map(|name| (osa_distance(&word, &name.to_ascii_lowercase()), name));
    let (distance, name) = names.min_by_key(|(distance, _)| *distance)?;
    // With as many edits as letters anything is made of anything.
    (distance <= most && distance < length).then_some(name)
}

/// `; did you mean …?` where a name is near, else nothing.
pub(crate) fn offer<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Sentence {
    let Some(name) = closest(word, names) else { return Sentence::default() };
    sentence! { en: "; did you mean `{name}`?", zh: "；是否想写 `{name}`？" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_slips_only() {
        let names = ["learning_rate", "lora_rank", "lora_alpha"];
        assert_eq!(closest("learning_rat", names), Some("learning_rate"));
        assert_eq!(closest("lora_rnk", names), Some("lora_rank"));
        assert_eq!(closest("lora_rnak", names), Some("lora_rank"), "a swap is one edit");
        assert_eq!(closest("favourite_colour", names), None);
        assert_eq!(closest("Qwen3", ["qwen", "qwen3"]), Some("qwen3"));
        assert_eq!(closest("x", ["a", "b"]), None);
    }
}
