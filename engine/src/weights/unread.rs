//! Tensors of a checkpoint that the model does not read.

use std::collections::HashSet;

use crate::families::DecoderSpec;

/// The first of `names` that belongs to the model's own layers although it is none of those that were read: a bias
/// that the configuration does not know of, for example. Without it the model would be another one.
///
/// Others may be there: a tied output matrix, layers behind the last (DeepSeek-V3 predicts further tokens with
/// them), a part for images, and buffers: masks, which have as many dimensions as scores, and rotary frequencies.
pub(super) fn first_unread<'a>(
    (spec, read): (&DecoderSpec, &[String]),
    stored: impl Fn(&str) -> String,
    names: &'a [String],
    rank: impl Fn(&str) -> usize,
) -> Option<&'a str> {
    let mut read: HashSet<String> = read.iter().map(|name| stored(name)).collect();
    let modules: HashSet<String> = read.iter().filter_map(|name| Some(split(name)?.0.to_owned())).collect();
    if spec.head.tied {
        read.insert(stored(&format!("{}.weight", spec.head.name)));
    }
    let (before, after) = spec.block.prefix.split_once("{}").unwrap_or((spec.block.prefix, ""));
    let blocks = stored(before);
    let in_block = |name: &str| {
        let rest = name.strip_prefix(&blocks)?;
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: usize = rest[..end].parse().ok()?;
        Some(rest[end..].starts_with(after) && number < spec.layers.len())
    };
    let stray = |name: &str| {
        let Some((module, "weight" | "bias")) = split(name) else { return false };
        let own = modules.contains(module) || in_block(name) == Some(true);
        own && !read.contains(name) && matches!(rank(name), 1 | 2)
    };
    names.iter().map(String::as_str).find(|name| stray(name))
}

/// Module and part of a tensor's name.
fn split(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.')
}
