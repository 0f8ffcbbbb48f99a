//! Data sets: the list, rows, what they are encoded to, how long they are, and the form of an entry.

use std::collections::BTreeMap;

use recipe::args::{Records, Stage};
use serde::{Deserialize, Serialize};

/// The data sets of the data folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetList {
    /// The data folder.
    pub folder: String,
    /// What `dataset_info.json` lists.
    pub entries: Vec<DatasetEntry>,
    /// The largest file, in bytes, that can be uploaded.
    pub largest_upload: u64,
    /// Why `dataset_info.json` cannot be read as a whole.
    pub broken: Option<BrokenList>,
}

/// Where `dataset_info.json` is broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrokenList {
    /// What is wrong, in a sentence.
    pub message: String,
    /// Lines around the place, with their numbers; empty where there is no such place.
    pub lines: Vec<(usize, String)>,
    /// The line that is wrong, where one is.
    pub line: Option<usize>,
}

/// An entry of `dataset_info.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetEntry {
    /// The name that recipes call it by.
    pub name: String,
    /// Where its rows are.
    pub place: DatasetPlace,
    /// `alpaca`, `sharegpt` or `openai`.
    pub format: String,
    /// What its rows are for.
    pub holds: Holds,
    /// Size of the file or of a folder's files.
    pub bytes: Option<u64>,
    /// Where counted.
    pub rows: Option<u64>,
    /// What is wrong with it, if it cannot be used.
    pub problem: Option<String>,
}

impl DatasetEntry {
    /// Whether it is downloaded before it is used.
    pub fn is_on_hub(&self) -> bool {
        matches!(self.place, DatasetPlace::Hub(_))
    }
}

/// Where the rows of an entry are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetPlace {
    /// A file or folder, as the entry names it.
    File(String),
    /// A repository on a hub.
    Hub(String),
    /// The entry does not say, or not rightly.
    Unknown,
}

/// What rows are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Plain text, to be continued.
    Text,
    /// Conversations that end with an answer.
    Answers,
    /// A chosen and a rejected answer each.
    Pairs,
    /// An answer each that was found good or bad.
    Judged,
}

impl Holds {
    /// Whether a stage trains on such rows.
    pub fn suits(self, stage: Stage) -> bool {
        match stage.records() {
            Records::Text => self != Holds::Pairs,
            Records::Answers => self == Holds::Answers,
            Records::Prompts => matches!(self, Holds::Answers | Holds::Pairs | Holds::Judged),
            Records::Preferences => self == Holds::Pairs,
        }
    }
}

/// Some rows of a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// The data set.
    pub entry: DatasetEntry,
    /// Number of the first row, counted from 1.
    pub first: u64,
    /// As many as a page shows, or as there are.
    pub rows: Vec<PreviewRow>,
    /// Whether rows follow.
    pub more: bool,
}

/// A row as it stands in its file, and as a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviewRow {
    /// Counted from 1 over all files.
    pub number: u64,
    /// JSON, laid out to be read; cut where it is very long.
    pub raw: String,
    /// Its conversation, as the entry's columns say.
    pub turns: Vec<PreviewTurn>,
    /// Why the row cannot be used.
    pub problem: Option<String>,
}

/// One message of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviewTurn {
    /// Whose it is.
    pub speaker: Speaker,
    /// Cut where it is very long.
    pub text: String,
}

/// What a message of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The system text.
    System,
    /// Descriptions of the tools that may be called.
    Tools,
    /// What the user says.
    User,
    /// What the model answers.
    Assistant,
    /// A tool call.
    Call,
    /// What a tool answered.
    Result,
    /// The better answer of a pair.
    Chosen,
    /// The worse answer of a pair.
    Rejected,
    /// An answer that was found good.
    Wanted,
    /// An answer that was found bad.
    Unwanted,
    /// Plain text.
    Text,
}

/// How rows are encoded to look at them: what of a recipe decides it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Encoding {
    /// As in `model_name_or_path`.
    pub model: String,
    /// Empty: the tokenizer's own chat template.
    pub template: String,
    /// Tokens of a sequence, at most.
    pub cutoff_len: usize,
    /// As the stage `pt` takes rows: the text of the first message, whatever else they hold.
    pub plain_text: bool,
    /// Whether the user's turns count in the loss, too.
    pub train_on_prompt: bool,
    /// Whether the last answer alone counts.
    pub mask_history: bool,
    /// Empty: the template's own.
    pub default_system: String,
    /// Whether thoughts are kept; unset: as the template has it.
    pub enable_thinking: Option<bool>,
}

/// A row as a run would see it: one sequence, or two for a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncodedRow {
    /// Counted from 1 over all files.
    pub number: u64,
    /// One, or the chosen and the rejected one of a pair.
    pub sequences: Vec<EncodedSequence>,
}

/// Tokens that a model reads in one go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncodedSequence {
    /// Which answer it is with, where there are several.
    pub answer: Option<Speaker>,
    /// The first of its tokens.
    pub pieces: Vec<TokenPiece>,
    /// How many tokens it has.
    pub tokens: u64,
    /// Tokens that count in the loss.
    pub trained: u64,
    /// Tokens that the cutoff took away.
    pub cut: u64,
    /// Tokens that are not among the pieces, because there are too many to show.
    pub hidden: u64,
}

/// A token, or a few that make up one character.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenPiece {
    /// What they stand for.
    pub text: String,
    /// Their ids, at least one.
    pub ids: Vec<u32>,
    /// Whether it counts in the loss.
    pub trained: bool,
}

/// How long rows are, in tokens, before anything is cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LengthHistogram {
    /// Rows by length: the first bin is of lengths 1 to `width`.
    pub bins: Vec<u64>,
    /// Lengths that share a bin.
    pub width: u64,
    /// Rows that were measured.
    pub rows: u64,
    /// Whether these are all rows.
    pub whole: bool,
    /// Half of the rows are no longer than this.
    pub median: u64,
    /// The length of the longest row.
    pub longest: u64,
    /// Rows longer than the cutoff.
    pub truncated: u64,
    /// The cutoff that `truncated` is counted by.
    pub cutoff_len: usize,
}

/// The check of a whole data set, which goes on in the background.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// How far it is.
    pub state: CheckState,
    /// Rows seen so far.
    pub rows: u64,
    /// Rows that cannot be used.
    pub bad: u64,
    /// The first of them.
    pub problems: Vec<RowProblem>,
    /// What is wrong with the data set as a whole.
    pub error: Option<String>,
    /// Lengths under the encoding that the check was started with, as far as it is.
    pub lengths: Option<LengthHistogram>,
}

/// How far the check of a data set is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// There was none since the server started, or the data have changed since.
    #[default]
    None,
    /// Others are under way.
    Waiting,
    /// It goes through the rows.
    Running,
    /// It has seen all rows.
    Done,
    /// It was broken off.
    Stopped,
}

/// One row that cannot be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowProblem {
    /// Counted from 1 over all files.
    pub row: u64,
    /// The column, where it is one.
    pub key: String,
    /// What is wrong, in a sentence.
    pub message: String,
}

/// Columns of an entry that alpaca's layout alone has.
pub const ALPACA_COLUMNS: [&str; 4] = ["prompt", "query", "response", "history"];
/// Columns that the layouts with messages alone have.
pub const MESSAGE_COLUMNS: [&str; 1] = ["messages"];
/// Columns that every layout may have.
pub const SHARED_COLUMNS: [&str; 8] =
    ["system", "tools", "images", "videos", "audios", "chosen", "rejected", "kto_tag"];
/// What the fields and roles of messages are called.
pub const TAGS: [&str; 7] =
    ["role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag"];

/// What the form of an entry of `dataset_info.json` holds. Empty texts are not in the entry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntryDraft {
    /// The key of the entry.
    pub name: String,
    /// A file or folder in the data folder.
    pub file_name: String,
    /// A repository on Hugging Face's hub.
    pub hf_hub_url: String,
    /// A repository on ModelScope's hub.
    pub ms_hub_url: String,
    /// The part of a repository that is read.
    pub subset: String,
    /// The split that is read; `train` where it is empty.
    pub split: String,
    /// A folder inside the repository.
    pub folder: String,
    /// A number.
    pub num_samples: String,
    /// `alpaca`, `sharegpt` or `openai`.
    pub formatting: String,
    /// Whether rows are pairs of a chosen and a rejected answer.
    pub ranking: bool,
    /// Columns by what they hold.
    pub columns: BTreeMap<String, String>,
    /// Names of fields and roles by what they mean.
    pub tags: BTreeMap<String, String>,
}

/// The form of an entry, filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryForm {
    /// The entry that is changed; none is added.
    pub original: Option<String>,
    /// What its fields hold.
    pub draft: EntryDraft,
    /// The file that is deleted with the entry.
    pub own_file: Option<String>,
}
