//! Some rows, as they stand in their files and as conversations.

use std::path::Path;

use engine::text::{
    Message, Role,
    data::{Catalog, DataSource, Kind, Outcome, RawRow, Record, Seen},
};
use wire::{BoardError, Preview, PreviewRow, PreviewTurn, Speaker};

use recipe::shortened;

use super::{files::RowCounts, list, source::source};

/// Rows on a page.
const PAGE: usize = 20;
/// What is shown of a long text, in characters.
const SHOWN: usize = 12_000;

/// The page that begins with row `first`, counted from 1; how many there are in all is not known here.
pub(super) fn preview(dir: &Path, name: &str, first: u64) -> Result<Preview, BoardError> {
    let catalog = Catalog::open(dir).map_err(|e| BoardError::Refused(e.to_string()))?;
    let entry = list::entry(&catalog, dir, name, &RowCounts::default());
    let source = match source(dir, name) {
        Ok(source) => source,
        // That it was not downloaded is no fault of its: the page says what can be done.
        Err(BoardError::Refused(_)) if entry.is_on_hub() && entry.problem.is_none() => {
            return Ok(Preview { entry, first, rows: Vec::new(), more: false });
        }
        Err(error) => return Err(error),
    };
    let seen = Seen::default();
    let before = usize::try_from(first - 1).unwrap_or(usize::MAX);
    let mut numbered = source.rows().skip(before).zip(first..);
    let rows: Vec<PreviewRow> =
        numbered.by_ref().take(PAGE).map(|(row, number)| shown(&source, row, number, &seen)).collect();
    Ok(Preview { entry, first, rows, more: numbered.next().is_some() })
}

fn shown(source: &DataSource, row: engine::text::Result<RawRow>, number: u64, seen: &Seen) -> PreviewRow {
    let mut shown = PreviewRow { number, raw: String::new(), turns: Vec::new(), problem: None };
    let row = match row {
        Ok(row) => row,
        Err(e) => return PreviewRow { problem: Some(shortened(e.to_string())), ..shown },
    };
    shown.raw = row.text();
    match source.convert(row, seen) {
        Ok(Outcome::Record(record)) => {
            // Only what could be read is laid out anew: what is wrong with a row must stay to be seen.
            shown.raw = laid_out(shown.raw);
            shown.turns = turns(record, source.kind);
        }
        Ok(Outcome::Skipped(skipped)) => {
            shown.raw = laid_out(shown.raw);
            shown.problem = Some(shortened(skipped.to_string()));
        }
        Err(e) => shown.problem = Some(shortened(e.to_string())),
    }
    shown.raw = cut(&shown.raw);
    shown
}

fn laid_out(json: String) -> String {
    if json.len() > 4 * SHOWN {
        return json;
    }
    let value: Option<serde_json::Value> = serde_json::from_str(&json).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or(json)
}

fn turns(record: Record, kind: Kind) -> Vec<PreviewTurn> {
    let turn = |speaker: Speaker, text: &str| PreviewTurn { speaker, text: cut(text) };
    let mut turns = Vec::new();
    for (speaker, text) in [(Speaker::System, &record.system), (Speaker::Tools, &record.tools)] {
        turns.extend((!text.is_empty()).then(|| turn(speaker, text)));
    }
    let said = |message: &Message| match kind {
        Kind::Text => turn(Speaker::Text, &message.content),
        _ => turn(speaker(message.role), &message.shown()),
    };
    turns.extend(record.prompt.iter().map(said));
    match (kind, record.response.as_slice()) {
        (Kind::Preference, [chosen, rejected, ..]) => {
            turns.push(turn(Speaker::Chosen, &chosen.shown()));
            turns.push(turn(Speaker::Rejected, &rejected.shown()));
        }
        (Kind::Feedback, [wanted, unwanted, ..]) => match wanted.is_empty() {
            false => turns.push(turn(Speaker::Wanted, &wanted.shown())),
            true => turns.push(turn(Speaker::Unwanted, &unwanted.shown())),
        },
        (_, answers) => turns.extend(answers.iter().map(said)),
    }
    turns
}

fn speaker(role: Role) -> Speaker {
    match role {
        Role::User => Speaker::User,
        Role::Assistant => Speaker::Assistant,
        Role::Observation => Speaker::Result,
        Role::Function => Speaker::Call,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
