//! Talking to a model: template, tokenizer, decoder and sampling in one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use recipe::HubTokens;
pub use recipe::{ChatMessage, Sampling};
use serde_json::Value;

use crate::adapter::Adapter;
use crate::device;
use crate::generate::{Event, Finish, Generation};
use crate::hub::{Watch, resolve_model};
use crate::model::{Decoder, SequenceId, Tuning};
use crate::text::{
    ChatTemplate, Dialogue, Message, Role, StreamDecoder, Template, Tokenizer, template::ChatTurn,
};
use crate::weights::{self, ModelFiles};
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
    /// Bytes for keys and values of all answers that are written at the same time; none: half of the memory that is left
    /// when the model is loaded.
    pub cache: Option<usize>,
}

/// How an answer went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Tokens of the conversation, as the template writes it.
    pub prompt_tokens: usize,
    /// Tokens that were drawn.
    pub completion_tokens: usize,
    /// Why it ended.
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
    /// Bytes for keys and values.
    cache: usize,
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
        let tuning = Tuning { device, ..Tuning::default() };
        // Beside the weights, what magnitudes scale would be measured, and rotations made, again for every token.
        let is_merged =
            adapters.last().is_some_and(|last| last.config.dora || last.config.rotation.is_some());
        let build = if is_merged { ModelFiles::merged } else { ModelFiles::adapted };
        let decoder = build(&files, &tuning, &adapters)?;
        let mut tokenizer = files.tokenizer()?;
        let (prompting, mut stop_ids) = prompting(source, &mut tokenizer)?;
        stop_ids.extend(files.generation_ends());
        let cache = source.cache.unwrap_or_else(|| device::available_memory(decoder.device()) / 2);
        Ok(ChatModel { decoder, tokenizer, prompting, stop_ids, cache })
    }

    /// Tokens of a prompt and an answer together, at most.
    pub fn context(&self) -> usize {
        self.decoder.spec.max_positions
    }

    /// A place for conversations that are answered together.
    pub fn answers(&self) -> Answers<'_> {
        let generation = Generation::within(&self.decoder, self.cache);
        Answers { model: self, generation, talks: BTreeMap::new() }
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

/// Answers that are written at the same time, each as if it were alone.
pub struct Answers<'m> {
    model: &'m ChatModel,
    generation: Generation<'m>,
    talks: BTreeMap<SequenceId, Talk<'m>>,
}

/// An answer on its way.
struct Talk<'m> {
    text: StreamDecoder<'m>,
    prompt_tokens: usize,
    completion_tokens: usize,
}

/// What a step brought of an answer.
#[derive(Debug)]
pub enum Said {
    /// More of its text.
    Text(String),
    /// It is complete.
    Done(Answer),
    /// It broke off.
    Failed(Error),
}

impl Answers<'_> {
    /// Begins the answer to a conversation.
    ///
    /// # Errors
    /// If the conversation does not fit the template or the model's context, or, with all that may be answered, the memory
    /// for keys and values.
    pub fn begin(&mut self, messages: &[ChatMessage], sampling: &Sampling) -> Result<SequenceId> {
        let prompt = self.model.prompt(messages)?;
        let id = self.generation.add(&prompt, sampling, &self.model.stop_ids)?;
        let text = self.model.tokenizer.stream(true);
        self.talks.insert(id, Talk { text, prompt_tokens: prompt.len(), completion_tokens: 0 });
        Ok(id)
    }

    /// Breaks an answer off; one that is complete already is let be.
    pub fn cancel(&mut self, id: SequenceId) {
        self.generation.cancel(id);
        self.talks.remove(&id);
    }

    /// Writes a little more of all answers.
    ///
    /// # Errors
    /// The device fails; none of the answers can go on then.
    pub fn step(&mut self) -> Result<Vec<(SequenceId, Said)>> {
        let mut said = Vec::new();
        for (id, event) in self.generation.step()? {
            match self.take(id, event) {
                Ok(more) => said.extend(more.into_iter().map(|more| (id, more))),
                Err(error) => {
                    self.cancel(id);
                    said.push((id, Said::Failed(error)));
                }
            }
        }
        Ok(said)
    }

    /// What a token, or the end, means to the reader.
    fn take(&mut self, id: SequenceId, event: Event) -> Result<Vec<Said>> {
        let finish = match event {
            Event::Token(token) => {
                let Some(talk) = self.talks.get_mut(&id) else { return Ok(Vec::new()) };
                talk.completion_tokens += 1;
                let text = talk.text.push(token)?;
                return Ok(if text.is_empty() { Vec::new() } else { vec![Said::Text(text)] });
            }
            Event::Finished(finish) => finish,
        };
        let Some(Talk { text, prompt_tokens, completion_tokens }) = self.talks.remove(&id) else {
            return Ok(Vec::new());
        };
        let rest = text.finish()?;
        let rest = if rest.is_empty() { None } else { Some(Said::Text(rest)) };
        let answer = Answer { prompt_tokens, completion_tokens, finish };
        Ok(rest.into_iter().chain([Said::Done(answer)]).collect())
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
