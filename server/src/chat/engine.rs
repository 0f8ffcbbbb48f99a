//! The engine's chat as the [`Model`] that is served and talked to.

use std::{ops::ControlFlow, time::Duration};

use engine::{
    chat::{self, ChatModel, ChatSource, Said},
    hub::{Progress, paced},
    model::SequenceId,
};
use wire::{ChatMessage, Sampling};

use super::{Answer, Answers, DOWNLOADING, Model, Piece, Unanswered};

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
    fn answers(&mut self) -> Box<dyn Answers + '_> {
        Box::new(Engine { context: self.context() as u64, answers: ChatModel::answers(self) })
    }
}

struct Engine<'m> {
    answers: chat::Answers<'m>,
    context: u64,
}

impl Answers for Engine<'_> {
    fn begin(&mut self, messages: &[ChatMessage], sampling: &Sampling) -> Result<u64, Unanswered> {
        Ok(self.answers.begin(messages, sampling)?.0)
    }

    fn step(&mut self) -> Result<Vec<(u64, Piece)>, Unanswered> {
        let context = self.context;
        let piece = |said| match said {
            Said::Text(text) => Piece::Text(text),
            Said::Failed(error) => Piece::Done(Err(error.into())),
            Said::Done(answer) => Piece::Done(Ok(Answer {
                prompt_tokens: answer.prompt_tokens as u64,
                completion_tokens: answer.completion_tokens as u64,
                finish_reason: answer.finish.name().to_owned(),
                context,
            })),
        };
        Ok(self.answers.step()?.into_iter().map(|(id, said)| (id.0, piece(said))).collect())
    }

    fn cancel(&mut self, id: u64) {
        self.answers.cancel(SequenceId(id));
    }
}

impl From<engine::Error> for Unanswered {
    fn from(error: engine::Error) -> Unanswered {
        let is_full = matches!(error, engine::Error::Context { .. } | engine::Error::Memory { .. });
        Unanswered { message: error.to_string(), is_full }
    }
}
