//! What a helper process is asked about data sets and models, and how it answers.

use std::path::{Path, PathBuf};

use recipe::{Problem, Recipe, sentence};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::{BoardError, Encoding, Memory, ModelFacts};

use super::{
    check, edit, encode,
    files::count_rows,
    lengths,
    preflight::{self, memory, remarks},
    preview,
    source::taken,
};
use crate::{
    config::Folders,
    helper::{self, Request},
    models,
};
use encode::Encoders;

/// What needs foreign files to be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    Preview {
        name: String,
        first: u64,
    },
    Encode {
        name: String,
        row: u64,
        encoding: Encoding,
    },
    Lengths {
        name: String,
        encoding: Encoding,
    },
    Check {
        name: String,
        encoding: Option<Encoding>,
    },
    Form {
        name: String,
        file: String,
    },
    Count {
        file: PathBuf,
    },
    /// A recipe as it was given, and as its worker will read it.
    Examine {
        model: String,
        recipe: String,
        worked: String,
    },
}

/// What there is to know about a recipe's model before a run is launched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Examined {
    /// What keeps the run from being launched.
    pub problems: Vec<Problem>,
    pub remarks: Vec<Problem>,
    pub memory: Option<Memory>,
    pub model: Option<ModelFacts>,
}

impl Request for Ask {
    fn subject(&self) -> String {
        let with = |name: &str, encoding: &Encoding| {
            let model = &encoding.model;
            format!("the dataset \"{name}\" with the tokenizer and template of \"{model}\"")
        };
        match self {
            Ask::Preview { name, .. } | Ask::Check { name, encoding: None } => {
                format!("the dataset \"{name}\"")
            }
            Ask::Encode { name, encoding, .. }
            | Ask::Lengths { name, encoding }
            | Ask::Check { name, encoding: Some(encoding) } => with(name, encoding),
            Ask::Form { name, file } => format!("the dataset \"{name}{file}\""),
            Ask::Count { file } => file.display().to_string(),
            Ask::Examine { model, .. } => format!("the model `{model}`, its tokenizer or chat template,"),
        }
    }
}

/// Answers, in a helper process. The tokenizer that was used last is kept.
pub struct Reader {
    folders: Folders,
    encoders: Encoders,
}

impl Reader {
    /// Reads data sets of these folders.
    pub fn new(folders: Folders) -> Reader {
        Reader { folders, encoders: Encoders::default() }
    }

    /// The answer, as what the one who asks takes it for.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn answer(&self, ask: Ask, progress: &mut dyn FnMut(Value)) -> Result<Value, BoardError> {
        let dir: &Path = &self.folders.data_dir;
        match ask {
            Ask::Preview { name, first } => json(&preview::preview(dir, &name, first.max(1))?),
            Ask::Encode { name, row, encoding } => {
                let source = taken(dir, &name, &encoding)?;
                json(&self.encoders.get(&self.folders, &encoding)?.row(&source, row, encoding.cutoff_len)?)
            }
            Ask::Lengths { name, encoding } => {
                let source = taken(dir, &name, &encoding)?;
                let encoder = self.encoders.get(&self.folders, &encoding)?;
                json(&lengths::of_first_rows(&source, &encoder).histogram(encoding.cutoff_len))
            }
            Ask::Check { name, encoding } => {
                let source = taken(dir, &name, &encoding.clone().unwrap_or_default())?;
                let get = |encoding| self.encoders.get(&self.folders, encoding);
                let encoder = encoding.as_ref().map(get).transpose()?;
                let mut report = |found: &check::Found| {
                    if let Ok(found) = json(found) {
                        progress(found);
                    }
                };
                json(&check::pass(&source, encoder.as_deref(), &mut report))
            }
            Ask::Form { name, file } => json(&edit::form(dir, &name, &file)?),
            Ask::Count { file } => json(&count_rows(&file)),
            Ask::Examine { recipe, worked, .. } => {
                let read = |yaml: &str| {
                    Recipe::parse_yaml(yaml, &[]).map_err(|problems| {
                        BoardError::Internal(problems.first().map(Problem::to_string).unwrap_or_default())
                    })
                };
                let (recipe, worked) = (read(&recipe)?, read(&worked)?);
                let model = Path::new(&worked.model_name_or_path);
                let model = model.exists().then(|| models::facts(model));
                let mut remarks = self.remarks(&recipe);
                remarks.extend(preflight::remarks(&recipe, model));
                let problems = preflight::problems(&recipe, &worked, dir);
                json(&Examined { problems, remarks, memory: memory::of(&worked), model })
            }
        }
    }

    /// What is to be known about a recipe's model with its template; nothing where the model is not here.
    fn remarks(&self, recipe: &Recipe) -> Vec<Problem> {
        if encode::model_path(&self.folders, &recipe.model_name_or_path).is_err() {
            return Vec::new();
        }
        match self.encoders.of(&self.folders, recipe) {
            Ok(encoder) => encoder.remarks.iter().map(remarks::told).collect(),
            Err(e) => vec![unreadable(&e)],
        }
    }
}

/// The remark that a model's tokenizer or template cannot be used.
pub(super) fn unreadable(error: &BoardError) -> Problem {
    let why = helper::words(error);
    Problem::of("model_name_or_path", sentence! { en: "{why}", zh: "无法读取模型的分词器或对话模板：{why}" })
}

fn json(answer: &impl Serialize) -> Result<Value, BoardError> {
    serde_json::to_value(answer).map_err(|e| BoardError::Internal(e.to_string()))
}
