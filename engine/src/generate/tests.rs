//! Sequences that share a cache with a bound.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Event, Finish, Generation, Sampling};
use crate::Error;
use crate::kernel::attention::PAGE;
use crate::model::{Decoder, SequenceId, tiny_decoder};

/// Bytes of a page of [`decoder`]: two layers with keys and values of 16 numbers each.
const PAGE_BYTES: usize = 2 * PAGE * (16 + 16) * 4;

type Tokens = BTreeMap<SequenceId, Vec<u32>>;

fn decoder() -> Decoder {
    tiny_decoder("llama", json!({}))
}

fn drawn(max_new_tokens: usize, seed: u64) -> Sampling {
    Sampling { max_new_tokens, seed: Some(seed), ..Sampling::default() }
}

/// A prompt of so many tokens.
fn prompt(length: u32) -> Vec<u32> {
    (0..length).map(|at| (7 * at + length) % 40).collect()
}

/// Steps until nothing is left: the sequences' tokens, and in which order they began and ended.
fn finished(generation: &mut Generation) -> (Tokens, Vec<(SequenceId, bool)>) {
    let (mut tokens, mut order) = (Tokens::new(), Vec::new());
    while !generation.is_idle() {
        for (id, event) in generation.step().unwrap() {
            match event {
                Event::Token(token) => {
                    let drawn = tokens.entry(id).or_default();
                    if drawn.is_empty() {
                        order.push((id, true));
                    }
                    drawn.push(token);
                }
                Event::Finished(finish) => {
                    assert_eq!(finish, Finish::Length);
                    order.push((id, false));
                }
            }
        }
        let (used, there) = generation.cache().pages();
        assert!(used <= there && there <= 3, "{used} of {there} pages");
    }
    (tokens, order)
}

/// A sequence waits for those before it, although it would fit beside the first one; its pages are what that left, and
/// its tokens are those that it has alone.
#[test]
fn what_does_not_fit_waits_its_turn() {
    let decoder = decoder();
    let asked = [(70, 10), (60, 20), (3, 40)];
    let mut generation = Generation::within(&decoder, 3 * PAGE_BYTES + 5);
    assert_eq!(generation.cache().page_bytes(), PAGE_BYTES);
    let mut ids = Vec::new();
    for (seed, (length, count)) in (1..).zip(asked) {
        ids.push(generation.add(&prompt(length), &drawn(count, seed), &[]).unwrap());
    }
    let (mut tokens, order) = finished(&mut generation);
    let [first, second, third] = ids[..] else { panic!("{ids:?}") };
    assert_eq!(order[..2], [(first, true), (first, false)]);
    assert_eq!(order.len(), 6, "{order:?}");
    assert!(order[2..4].iter().all(|(id, begins)| [second, third].contains(id) && *begins), "{order:?}");
    // Five pages in all, of which no more than three are ever made.
    assert_eq!(generation.cache().pages(), (0, 3));
    for ((seed, (length, count)), id) in (1..).zip(asked).zip(ids) {
        let mut alone = Generation::new(&decoder);
        let only = alone.add(&prompt(length), &drawn(count, seed), &[]).unwrap();
        assert_eq!(tokens.remove(&id), finished(&mut alone).0.remove(&only));
    }
}

/// Of a prompt and all tokens that may follow, the last one takes no place.
#[test]
fn what_can_never_fit_is_refused() {
    let decoder = decoder();
    let mut generation = Generation::within(&decoder, 2 * PAGE_BYTES);
    let refused = generation.add(&prompt(100), &drawn(30, 1), &[]).unwrap_err();
    let Error::Memory { prompt: 100, answer: 30, needed, there, room: 128 } = refused else {
        panic!("{refused}")
    };
    assert_eq!([needed, there], [3 * PAGE_BYTES, 2 * PAGE_BYTES]);
    let sentence = Error::Memory { prompt: 100, answer: 30, needed: 3 << 19, there: 1 << 20, room: 128 };
    assert!(
        sentence.to_string().starts_with(
            "the prompt's 100 tokens and an answer of up to 30 need 1.5 MiB of memory for keys and values, and there are \
             1.0 MiB, enough for 128 tokens together; ask for a shorter answer (max_new_tokens)"
        ),
        "{sentence}"
    );
    assert!(generation.is_idle());
    let id = generation.add(&prompt(100), &drawn(29, 1), &[]).unwrap();
    assert_eq!(finished(&mut generation).0[&id].len(), 29);
    assert_eq!(generation.cache().pages(), (0, 2));

    let mut nothing = Generation::within(&decoder, PAGE_BYTES - 1);
    assert!(matches!(nothing.add(&[1], &drawn(1, 1), &[]), Err(Error::Memory { there: 0, .. })));
}

/// Who leaves while waiting, or while others wait, makes room.
#[test]
fn who_waits_may_leave_and_moves_up() {
    let decoder = decoder();
    let mut generation = Generation::within(&decoder, 2 * PAGE_BYTES);
    let mut join = |length| generation.add(&prompt(length), &drawn(20, 1), &[]).unwrap();
    let [first, second, third] = [100, 90, 30].map(&mut join);
    let began = |generation: &mut Generation| -> Vec<SequenceId> {
        generation.step().unwrap().into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(began(&mut generation), [first]);
    generation.cancel(second);
    assert_eq!(began(&mut generation), [first]);
    generation.cancel(first);
    assert_eq!(began(&mut generation), [third]);
    assert_eq!(generation.cache().pages(), (1, 2));
}
