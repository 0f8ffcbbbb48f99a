//! What rows are encoded to under a model's tokenizer and a template.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use engine::hub::{Hubs, quietly};
use engine::text::{
    Example, IGNORE_INDEX, Remark, Template, Tokenizer,
    data::{DataSource, Kind, Outcome, Record, Seen},
    encode::{Masking, PlainText, RecordEncoder},
    prepare_tokenizer,
};
use recipe::Recipe;
use wire::{BoardError, EncodedRow, EncodedSequence, Encoding, Speaker, TokenPiece};

use crate::{
    config::Folders,
    models::{self, Named},
};

/// Tokens that are shown of a sequence.
const SHOWN: usize = 4096;
/// A length that nothing reaches, which is still far from overflowing.
const UNCUT: usize = usize::MAX / 4;

/// Tokenizers are large: the one that was used last is kept.
#[derive(Default)]
pub(super) struct Encoders {
    last: Mutex<Option<Arc<Encoder>>>,
}

/// What decides how rows are encoded, but for the cutoff.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    model: PathBuf,
    /// The model's files, as they are.
    files: Vec<(PathBuf, u64, Option<SystemTime>)>,
    /// What the template is made from, and what counts in the loss.
    recipe: Recipe,
}

impl Asked {
    pub(super) fn of(model: &Path, encoding: &Encoding) -> Asked {
        Asked::by(model.to_owned(), decisive(&recipe_of(encoding)))
    }

    fn by(model: PathBuf, recipe: Recipe) -> Asked {
        let there = model.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = there.chain([model.clone()]).collect();
        files.sort();
        let stamp = |file: PathBuf| {
            let metadata = file.metadata().ok();
            let length = metadata.as_ref().map_or(0, Metadata::len);
            (file, length, metadata.and_then(|metadata| metadata.modified().ok()))
        };
        let files = files.into_iter().map(stamp).collect();
        Asked { model, files, recipe }
    }
}

/// Encodes rows as a run would.
pub(super) struct Encoder {
    asked: Asked,
    /// What is to be known about the two together.
    pub remarks: Vec<Remark>,
    tokenizer: Tokenizer,
    template: Template,
}

/// Where a model is that `model_name_or_path` may name: in the folder of models or of runs, or fetched from a hub
/// before.
///
/// # Errors
/// A sentence that says so.
pub(super) fn model_path(folders: &Folders, named: &str) -> Result<PathBuf, String> {
    match models::named(named, folders).map_err(|e| e.to_string())? {
        Named::Here(path) => Ok(path),
        Named::Hub(id) => Hubs::from_env().in_cache().model(&id, None, &mut quietly).map_err(|_| {
            format!("{id} is not downloaded yet; it is downloaded when a run or a chat with it starts")
        }),
    }
}

impl Encoders {
    /// The encoder for a model and a template.
    pub(super) fn get(&self, folders: &Folders, encoding: &Encoding) -> Result<Arc<Encoder>, BoardError> {
        self.of(folders, &recipe_of(encoding))
    }

    /// The encoder for a recipe's model and template.
    pub(super) fn of(&self, folders: &Folders, recipe: &Recipe) -> Result<Arc<Encoder>, BoardError> {
        let recipe = decisive(recipe);
        let model = model_path(folders, &recipe.model_name_or_path).map_err(BoardError::Refused)?;
        let asked = Asked::by(model, recipe);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(last) = last.filter(|last| last.asked == asked) {
            return Ok(last);
        }
        let encoder = Arc::new(Encoder::open(asked).map_err(BoardError::Refused)?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(encoder.clone());
        Ok(encoder)
    }
}

fn recipe_of(encoding: &Encoding) -> Recipe {
    Recipe {
        model_name_or_path: encoding.model.clone(),
        template: Some(encoding.template.clone()),
        train_on_prompt: encoding.train_on_prompt,
        mask_history: encoding.mask_history,
        default_system: Some(encoding.default_system.clone()).filter(|system| !system.is_empty()),
        enable_thinking: encoding.enable_thinking,
        ..Recipe::default()
    }
}

/// What of a recipe decides on its template, on what counts in the loss, and on what is to be known about both.
fn decisive(recipe: &Recipe) -> Recipe {
    Recipe {
        model_name_or_path: recipe.model_name_or_path.clone(),
        template: Some(recipe.template.clone().unwrap_or_default()),
        stage: recipe.stage,
        train_on_prompt: recipe.train_on_prompt,
        mask_history: recipe.mask_history,
        tool_format: recipe.tool_format,
        default_system: recipe.default_system.clone(),
        enable_thinking: recipe.enable_thinking,
        preserve_thinking: recipe.preserve_thinking,
        resize_vocab: recipe.resize_vocab,
        add_tokens: recipe.add_tokens.clone(),
        add_special_tokens: recipe.add_special_tokens.clone(),
        ..Recipe::default()
    }
}

impl Encoder {
    fn open(asked: Asked) -> Result<Encoder, String> {
        let files = engine::weights::open(&asked.model, None).map_err(|e| e.to_string())?;
        let mut tokenizer = files.tokenizer().map_err(|e| e.to_string())?;
        let fitted = prepare_tokenizer(&asked.recipe, &mut tokenizer);
        let (template, remarks) = fitted.map_err(|e| e.to_string())?;
        Ok(Encoder { asked, remarks, tokenizer, template })
    }

    /// Row number `row` (counted from 1) with its tokens.
    pub(super) fn row(
        &self,
        source: &DataSource,
        row: u64,
        cutoff_len: usize,
    ) -> Result<EncodedRow, BoardError> {
        let place = row.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        let found = place.and_then(|place| source.rows().nth(place));
        let found = found.ok_or_else(|| BoardError::NotFound(format!("{} · {row}", source.info.name)))?;
        let refused = |e: engine::text::Error| BoardError::Refused(e.to_string());
        let record = match source.convert(found.map_err(refused)?, &Seen::default()).map_err(refused)? {
            Outcome::Record(record) => record,
            Outcome::Skipped(skipped) => return Err(BoardError::Refused(skipped.to_string())),
        };
        let kept = self.sequences(&record, source.kind, cutoff_len.max(1)).map_err(refused)?;
        let whole = self.sequences(&record, source.kind, UNCUT).map_err(refused)?;
        let answers: &[Option<Speaker>] = match source.kind {
            Kind::Preference => &[Some(Speaker::Chosen), Some(Speaker::Rejected)],
            _ => &[None],
        };
        let sequences = kept.iter().zip(&whole).zip(answers);
        let sequences = sequences
            .map(|((kept, whole), answer)| self.shown(kept, whole, *answer))
            .collect::<Result<_, _>>();
        Ok(EncodedRow { number: row, sequences: sequences.map_err(refused)? })
    }

    /// The longest sequence that a record becomes, in tokens, before anything is cut.
    pub(super) fn length(&self, record: &Record, kind: Kind) -> engine::text::Result<usize> {
        let sequences = self.sequences(record, kind, UNCUT)?;
        Ok(sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or_default())
    }

    fn sequences(
        &self,
        record: &Record,
        kind: Kind,
        cutoff_len: usize,
    ) -> engine::text::Result<Vec<Example>> {
        let Encoder { tokenizer, template, asked, .. } = self;
        let asked = &asked.recipe;
        let masking = Masking { train_on_prompt: asked.train_on_prompt, mask_history: asked.mask_history };
        let plain = &PlainText::of(template, Some(cutoff_len));
        RecordEncoder { template, tokenizer, masking, plain, cutoff_len }.sequences(record, kind)
    }

    fn shown(
        &self,
        kept: &Example,
        whole: &Example,
        answer: Option<Speaker>,
    ) -> engine::text::Result<EncodedSequence> {
        let mut pieces = Vec::new();
        let mut decoder = self.tokenizer.stream(false);
        let mut piece = TokenPiece { text: String::new(), ids: Vec::new(), trained: false };
        for (id, label) in kept.ids.iter().zip(&kept.labels).take(SHOWN) {
            let trained = *label != IGNORE_INDEX;
            if trained != piece.trained && !piece.ids.is_empty() {
                // A character that both sides share is shown where it ends.
                pieces.push(std::mem::take(&mut piece));
            }
            piece.trained = trained;
            piece.ids.push(*id);
            piece.text = decoder.push(*id)?;
            if !piece.text.is_empty() {
                pieces.push(std::mem::take(&mut piece));
            }
        }
        piece.text = decoder.finish()?;
        if !piece.ids.is_empty() {
            pieces.push(piece);
        }
        Ok(EncodedSequence {
            answer,
            pieces,
            tokens: kept.ids.len() as u64,
            trained: kept.trained_tokens() as u64,
            cut: whole.ids.len().saturating_sub(kept.ids.len()) as u64,
            hidden: kept.ids.len().saturating_sub(SHOWN) as u64,
        })
    }
}
