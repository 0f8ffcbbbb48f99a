//! Talking to a model: template, tokenizer, decoder and sampling in one.

use std::ops::ControlFlow;
use std::path::PathBuf;

use recipe::HubTokens;
pub use recipe::{ChatMessage, Sampling};
use serde_json::Value;

use crate::adapter::Adapter;
use crate::device;
use crate::generate::{Finish, generate};
use crate::hub::{Watch, resolve_model};
use crate::model::{Decoder, Tuning};
use crate::text::{ChatTemplate, Dialogue, Message, Role, Template, Tokenizer, template::ChatTurn};
use crate::weights;
use crate::{Error, Result};

/// What a chat is held with.
#[derive(Clone, Debug, Default)]
pub struct ChatSource {
    /// A model folder, a GGUF file, or the name of a model on a hub.
    pub model: PathBuf,
    /// Branch, tag or commit of a model on a hub.
    pub revision: Option<String>,
    /// Adapter folders, applied one on the other.
    pub adapters: Vec<PathBuf>,
    /// A template by name; none takes the model's own chat template, or what fits its name.
    pub template: Option<String>,
    /// Whether a model that can think shall; none leaves it to the template.
    pub enable_thinking: Option<bool>,
    /// Runs on the CPU even where there is an accelerator.
    pub use_cpu: bool,
    /// Who asks the hub.
    pub tokens: HubTokens,
}

/// How an answer went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub prompt_tokens: usize,
    pub completion_tokens: usize,
    pub finish: Finish,
}

enum Prompting {
    Template(Box<Template>),
    Own { template: Box<ChatTemplate>, enable_thinking: Option<bool> },
}

/// A model in memory, ready to answer.
pub struct ChatModel {
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompting: Prompting,
    stop_ids: Vec<u32>,
}

impl ChatModel {
    /// Loads model, adapters and template; `watch` is told of the download of a model that is on a hub alone.
    ///
    /// # Errors
    /// One sentence that names the file or setting that is wrong.
    pub fn load(source: &ChatSource, watch: Watch) -> Result<ChatModel> {
        let (name, revision) = (source.model.to_string_lossy(), source.revision.as_deref());
        let model = resolve_model(&name, revision, &source.tokens, watch)?;
        let files = weights::open(&model, None)?;
        let mut adapters = Vec::new();
        for folder in &source.adapters {
            adapters.push(Adapter::open(folder)?);
        }
        let device = device::choose(source.use_cpu, &mut |_| {});
        let decoder = files.adapted(&Tuning { device, ..Tuning::default() }, &adapters)?;
        let mut tokenizer = files.tokenizer()?;
        let (prompting, mut stop_ids) = prompting(source, &mut tokenizer)?;
        stop_ids.extend(files.generation_ends());
        Ok(ChatModel { decoder, tokenizer, prompting, stop_ids })
    }

    /// Tokens of a prompt and an answer together, at most.
    pub fn context(&self) -> usize {
        self.decoder.spec.max_positions
    }

    /// Answers a conversation; `take` gets the text as it comes and may break the answer off.
    ///
    /// # Errors
    /// If the conversation does not fit the template or the model's context.
    pub fn answer(
        &self,
        messages: &[ChatMessage],
        sampling: &Sampling,
        take: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer> {
        let prompt = self.prompt(messages)?;
        let context = self.context();
        if prompt.len() >= context {
            return Err(Error::Context { tokens: prompt.len(), context });
        }
        let mut decoder = self.tokenizer.stream(true);
        let mut count = 0;
        let mut each = |token: u32| -> Result<ControlFlow<()>> {
            count += 1;
            let text = decoder.push(token)?;
            Ok(if text.is_empty() { ControlFlow::Continue(()) } else { take(&text) })
        };
        let finish = generate(&self.decoder, &prompt, sampling, &self.stop_ids, &mut each)?;
        let rest = decoder.finish()?;
        if !rest.is_empty() && finish != Finish::Cancelled {
            let _ = take(&rest);
        }
        Ok(Answer { prompt_tokens: prompt.len(), completion_tokens: count, finish })
    }

    /// Token ids that ask for the next answer.
    fn prompt(&self, messages: &[ChatMessage]) -> Result<Vec<u32>> {
        let ids = match &self.prompting {
            Prompting::Template(template) => template.encode_prompt(&self.tokenizer, &dialogue(messages)?)?,
            Prompting::Own { template, enable_thinking } => {
                let turn = |message: &ChatMessage| ChatTurn {
                    role: message.role.clone(),
                    content: message.content.clone(),
                    ..ChatTurn::default()
                };
                let turns: Vec<ChatTurn> = messages.iter().map(turn).collect();
                self.tokenizer
                    .encode(&template.render_with(&turns, &Value::Null, true, *enable_thinking)?, false)?
            }
        };
        let vocab = self.decoder.spec.vocab;
        match ids.iter().find(|id| **id as usize >= vocab) {
            Some(id) => {
                let token = self.tokenizer.id_to_token(*id).unwrap_or_default();
                let message = format!(
                    "the prompt needs token {id} (`{token}`), but the model's table has {vocab} rows; train with \
                     `resize_vocab: true` to give it more, or choose a template whose tokens the model has"
                );
                Err(Error::recipe("template", message))
            }
            None => Ok(ids),
        }
    }
}

fn prompting(source: &ChatSource, tokenizer: &mut Tokenizer) -> Result<(Prompting, Vec<u32>)> {
    let mut template = match &source.template {
        Some(name) => Template::named(name)?,
        None => match ChatTemplate::of(tokenizer)? {
            Some(own) => {
                let stops = tokenizer.eos_id().into_iter().collect();
                let (template, enable_thinking) = (Box::new(own), source.enable_thinking);
                return Ok((Prompting::Own { template, enable_thinking }, stops));
            }
            None => {
                let fitting = recipe::registry::template_for(&source.model.display().to_string());
                Template::named(fitting.unwrap_or("default"))?
            }
        },
    };
    template.enable_thinking = source.enable_thinking.or(template.enable_thinking);
    template.fit_tokenizer(tokenizer)?;
    let stops = template.stop_ids(tokenizer);
    Ok((Prompting::Template(Box::new(template)), stops))
}

/// A leading system message becomes the dialogue's system text; the rest must alternate and end with the user.
fn dialogue(messages: &[ChatMessage]) -> Result<Dialogue> {
    let mut dialogue = Dialogue::default();
    for (index, message) in messages.iter().enumerate() {
        let role = match message.role.as_str() {
            "system" if index == 0 => {
                dialogue.system.clone_from(&message.content);
                continue;
            }
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                let message =
                    format!("message {} has the role `{other}`; allowed are user and assistant", index + 1);
                return Err(Error::recipe("messages", message));
            }
        };
        let expected = if dialogue.messages.len() % 2 == 0 { Role::User } else { Role::Assistant };
        if role != expected {
            let message =
                format!("message {} must be from the other side: user and assistant take turns", index + 1);
            return Err(Error::recipe("messages", message));
        }
        dialogue.messages.push(Message::new(role, message.content.clone()));
    }
    if dialogue.messages.len() % 2 == 0 {
        return Err(Error::recipe("messages", "the last message must be the user's"));
    }
    Ok(dialogue)
}
