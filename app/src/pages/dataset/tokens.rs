//! The tokens of a row, by whether they count in the loss.

use leptos::prelude::*;
use wire::{EncodedSequence, TokenPiece};

use super::asked::Encoded;
use super::speaker::speaker_name;
use crate::components::failure::BoardFailure;
use crate::format;
use crate::i18n::{fill, words};

#[component]
pub fn TokenPanel(encoded: Encoded) -> AnyView {
    view! {
        <section class="tokens" data-test="tokens">
            <Transition fallback=|| view! { <div class="skeleton row" aria-busy="true"></div> }>
                {move || Suspend::new(async move {
                    match encoded.await {
                        Some(Ok(row)) => row
                            .sequences
                            .into_iter()
                            .map(|sequence| view! { <Sequence sequence/> })
                            .collect_view()
                            .into_any(),
                        Some(Err(error)) => view! { <BoardFailure error retry=move |()| encoded.refetch()/> }.into_any(),
                        None => ().into_any(),
                    }
                })}
            </Transition>
        </section>
    }
    .into_any()
}

#[component]
fn Sequence(sequence: EncodedSequence) -> AnyView {
    let w = words();
    let number = |text: &str, n: u64| fill(text, &[("n", &format::count(n))]);
    let mut facts = vec![number(w.data_tokens, sequence.tokens), number(w.data_trained, sequence.trained)];
    if sequence.cut > 0 {
        facts.push(number(w.data_cut, sequence.cut));
    }
    let pieces = sequence.pieces.into_iter().map(piece).collect_view();
    view! {
        {sequence.answer.map(|answer| view! { <h4>{speaker_name(answer, w)}</h4> })}
        <p class="token-facts number">
            <span>{facts.join(" · ")}</span>
            <span class="token-legend">
                <span class="token trained">{w.data_counts}</span>
                <span class="token">{w.data_counts_not}</span>
            </span>
        </p>
        <p class="token-text" data-test="token-text">{pieces}</p>
        {(sequence.hidden > 0).then(|| view! { <p class="muted">{number(w.data_hidden, sequence.hidden)}</p> })}
    }
    .into_any()
}

fn piece(piece: TokenPiece) -> impl IntoView {
    let ids = piece.ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    // A line break is a token, too, and must be seen.
    let text = piece.text.replace('\n', "↵\n");
    view! { <span class="token" class:trained=piece.trained title=ids>{text}</span> }
}
