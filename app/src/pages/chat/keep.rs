//! The conversation as the browser keeps it: it outlives a reload, a visit to another page and a change of language.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use wire::Sampling;

use super::talk::{Role, Talk};
use crate::browser;

const PLACE: &str = "draft:/chat";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    turns: Vec<KeptTurn>,
    draft: String,
    system: String,
    sampling: Sampling,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptTurn {
    role: Role,
    text: String,
    note: Option<String>,
    error: Option<String>,
}

/// Keeps the talk from now on, and takes up the one that was kept.
pub fn keep(talk: Talk) {
    // What was written before the page was taken over is in the document alone.
    let early =
        [("system", talk.system), ("message", talk.draft)].map(|(name, text)| (text, browser::typed(name)));
    let ready = RwSignal::new(false);
    // Only in an effect: the page must first be taken over as the server drew it.
    Effect::new(move |_| {
        if let Some(kept) = browser::kept(PLACE).and_then(|text| serde_json::from_str(&text).ok()) {
            untrack(|| take_up(talk, kept));
        }
        for (text, typed) in &early {
            if let Some(typed) = typed {
                text.set(typed.clone());
            }
        }
        ready.set(true);
    });
    Effect::new(move |_| {
        let kept = kept(talk);
        if let (true, Ok(text)) = (ready.get(), serde_json::to_string(&kept)) {
            browser::keep(PLACE, &text);
        }
    });
}

/// The talk as it stands. An answer that comes changes all the time: it is kept when it is complete, its question before.
fn kept(talk: Talk) -> Kept {
    let coming = usize::from(talk.answering.get());
    let turns = talk.turns.with(|turns| {
        let kept = turns.iter().take(turns.len().saturating_sub(coming)).map(|turn| KeptTurn {
            role: turn.role,
            text: turn.text.get(),
            note: turn.note.get(),
            error: turn.error.get(),
        });
        kept.collect()
    });
    Kept { turns, draft: talk.draft.get(), system: talk.system.get(), sampling: talk.sampling.get() }
}

fn take_up(talk: Talk, kept: Kept) {
    for turn in kept.turns {
        let taken = talk.push(turn.role, turn.text);
        taken.note.set(turn.note);
        taken.error.set(turn.error);
    }
    talk.draft.set(kept.draft);
    talk.system.set(kept.system);
    talk.sampling.set(kept.sampling);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_talk_is_taken_up_as_it_was_left() {
        let owner = Owner::new();
        owner.set();
        let talk = Talk::new();
        talk.push(Role::User, "Hello".into());
        talk.push(Role::Assistant, String::new()).error.set(Some("The connection broke".into()));
        talk.system.set("Be brief.".into());
        talk.sampling.update(|sampling| sampling.top_k = 7);
        let left = kept(talk);
        talk.answering.set(true);
        assert_eq!(kept(talk).turns, left.turns[..1], "the question alone while its answer comes");
        let fresh = Talk::new();
        take_up(fresh, serde_json::from_str(&serde_json::to_string(&left).unwrap()).unwrap());
        assert_eq!(kept(fresh), left);
    }
}
