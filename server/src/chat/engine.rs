//! The engine's chat as the [`Model`] that is served and talked to.

use std::{ops::ControlFlow, time::Duration};

use engine::{
    chat::{ChatModel, ChatSource},
    hub::{Progress, paced},
};
use wire::{ChatMessage, Sampling};

use super::{Answer, DOWNLOADING, Model, Unanswered};

/// How often a download is spoken of.
const EVERY: Duration = Duration::from_secs(1);

/// Loads model, adapters and template. How far a download is goes to the standard error, a line at a time.
///
/// # Errors
/// One sentence that names what is wrong.
pub fn load(source: &ChatSource) -> Result<impl Model + use<>, engine::Error> {
    let mut say = paced(EVERY, |progress| eprintln!("{DOWNLOADING}{progress}"));
    let mut watch = |progress: &Progress<'_>| {
        say(progress);
        ControlFlow::Continue(())
    };
    ChatModel::load(source, &mut watch)
}

impl Model for ChatModel {
    fn answer(
        &mut self,
        messages: &[ChatMessage],
        sampling: &Sampling,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, Unanswered> {
        let answer = ChatModel::answer(self, messages, sampling, on_text);
        let answer = answer.map_err(|error| Unanswered {
            message: error.to_string(),
            is_full: matches!(error, engine::Error::Context { .. }),
        })?;
        Ok(Answer {
            prompt_tokens: answer.prompt_tokens as u64,
            completion_tokens: answer.completion_tokens as u64,
            finish_reason: answer.finish.name().to_owned(),
            context: self.context() as u64,
        })
    }
}
