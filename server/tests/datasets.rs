//! What the pages of data sets show, read by helper processes; and what such a process is protected from.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use server::{
    command::WorkerCommand,
    config::Folders,
    datasets::{Datasets, upload},
    helper::{Helpers, Request},
};
use wire::{
    BoardError, Check, CheckState, DatasetPlace, DatasetsApi, Encoding, EntryDraft, Preview, Speaker,
};

/// The binary itself.
fn worker() -> WorkerCommand {
    WorkerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_chandler")), args: Vec::new() }
}

/// A data folder, and the bundled model.
struct Shelf {
    _dir: tempfile::TempDir,
    folder: std::path::PathBuf,
    datasets: Datasets,
}

impl Shelf {
    fn new(info: &str, files: &[(&str, &str)]) -> Shelf {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let models_dir = root.join("models");
        with_model(&models_dir, &[]);
        let folders = Folders { models_dir, data_dir: root.join("data"), runs_dir: root.join("runs") };
        let folders = folders.prepare().unwrap();
        let folder = folders.data_dir.clone();
        fs::write(folder.join("dataset_info.json"), info).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        let datasets = Datasets::new(Arc::new(folders), worker(), upload::LARGEST);
        Shelf { _dir: dir, folder, datasets }
    }

    /// The check of a data set once it has ended.
    async fn checked(&self, name: &str) -> Check {
        self.datasets.start_check(name.into(), Some(wick(1024))).await.unwrap();
        loop {
            let check = self.datasets.check(name.into(), wick(8)).await.unwrap();
            if check.state == CheckState::Done {
                return check;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    async fn preview(&self, name: &str, first: u64) -> Result<Preview, BoardError> {
        self.datasets.preview(name.to_owned(), first).await
    }
}

fn wick(cutoff_len: usize) -> Encoding {
    Encoding { model: "wick".into(), template: "llama3".into(), cutoff_len, ..Encoding::default() }
}

const ROWS: &str = "{\"instruction\": \"Who are you?\", \"output\": \"I am Wick.\"}\n{\"instruction\": 3, \"output\": \"x\"}\n{\"instruction\": \"a\"\n{\"instruction\": \"Hi\", \"output\": \"Hello!\"}\n";

#[tokio::test]
async fn the_list_says_where_it_is_broken_and_hides_nothing_else() {
    let info = r#"{"a": {"file_name": "a.jsonl"}, "hub": {"hf_hub_url": "x/y"}, "bad": {"formatting": "x"},
        "out": {"file_name": "/etc/passwd"}}"#;
    let shelf = Shelf::new(info, &[("a.jsonl", ROWS)]);
    let list = shelf.datasets.list().await.unwrap();
    assert!(list.broken.is_none());
    let [a, hub, bad, out] = list.entries.as_slice() else { panic!("{list:?}") };
    assert_eq!((&a.place, a.bytes), (&DatasetPlace::File("a.jsonl".into()), Some(ROWS.len() as u64)));
    assert_eq!((a.format.as_str(), a.rows, &a.problem), ("alpaca", Some(4), &None));
    assert_eq!((&hub.place, &hub.problem), (&DatasetPlace::Hub("x/y".into()), &None));
    assert!(bad.problem.as_ref().unwrap().contains("file_name"), "{bad:?}");
    assert!(out.problem.as_ref().unwrap().contains("outside"), "{out:?}");

    fs::write(shelf.folder.join("dataset_info.json"), "{\n  \"a\": {},\n  \"b\" {}\n}").unwrap();
    let broken = shelf.datasets.list().await.unwrap().broken.unwrap();
    assert_eq!(broken.line, Some(3));
    assert_eq!(broken.lines[2], (3, "  \"b\" {}".to_owned()));
    assert!(matches!(shelf.preview("a", 1).await, Err(BoardError::Refused(_))));
}

#[tokio::test]
async fn previews_show_rows_and_what_is_wrong_with_them() {
    let info = r#"{"a": {"file_name": "a.jsonl"}}"#;
    let shelf = Shelf::new(info, &[("a.jsonl", ROWS)]);
    let page = shelf.preview("a", 1).await.unwrap();
    assert_eq!((page.rows.len(), page.more), (4, false));
    let said: Vec<_> = page.rows[0].turns.iter().map(|turn| (turn.speaker, turn.text.as_str())).collect();
    assert_eq!(said, [(Speaker::User, "Who are you?"), (Speaker::Assistant, "I am Wick.")]);
    assert!(page.rows[1].problem.as_ref().unwrap().contains("instruction"));
    assert!(page.rows[2].problem.as_ref().unwrap().contains("JSON") && page.rows[2].raw.contains("\"a\""));
    assert_eq!(shelf.preview("a", 4).await.unwrap().rows[0].number, 4);
    assert!(shelf.preview("a", 99).await.unwrap().rows.is_empty());
    assert_eq!(shelf.preview("none", 1).await.unwrap_err(), BoardError::NotFound("none".into()));
}

#[tokio::test]
async fn nothing_outside_the_data_folder_is_read() {
    let info = r#"{"up": {"file_name": "../secret.jsonl"}, "root": {"file_name": "/etc/passwd"},
        "link": {"file_name": "link.jsonl"}, "folder": {"file_name": "folder"}}"#;
    let shelf = Shelf::new(info, &[]);
    let secret = shelf.folder.parent().unwrap().join("secret.jsonl");
    fs::write(&secret, ROWS).unwrap();
    fs::create_dir(shelf.folder.join("folder")).unwrap();
    std::os::unix::fs::symlink(&secret, shelf.folder.join("link.jsonl")).unwrap();
    std::os::unix::fs::symlink(&secret, shelf.folder.join("folder/rows.jsonl")).unwrap();
    for name in ["up", "root", "link", "folder"] {
        assert!(matches!(shelf.preview(name, 1).await, Err(BoardError::Refused(_))), "{name}");
    }
    let elsewhere = Encoding { model: "/etc".into(), ..wick(64) };
    assert!(matches!(shelf.datasets.encode("up".into(), 1, elsewhere).await, Err(BoardError::Refused(_))));
}

#[tokio::test]
async fn rows_are_encoded_with_what_counts_in_the_loss() {
    let shelf = Shelf::new(r#"{"a": {"file_name": "a.jsonl"}}"#, &[("a.jsonl", ROWS)]);
    let encoded = shelf.datasets.encode("a".into(), 1, wick(1024)).await.unwrap();
    let [sequence] = encoded.sequences.as_slice() else { panic!("{encoded:?}") };
    let text = |trained: bool| {
        let pieces = sequence.pieces.iter().filter(|piece| piece.trained == trained);
        pieces.map(|piece| piece.text.as_str()).collect::<String>()
    };
    assert!(text(false).contains("Who are you?") && !text(false).contains("I am Wick."), "{sequence:?}");
    assert!(text(true).starts_with("I am Wick.") && !text(true).contains("Who"), "{sequence:?}");
    let ids: usize = sequence.pieces.iter().map(|piece| piece.ids.len()).sum();
    assert_eq!((ids as u64, sequence.cut), (sequence.tokens, 0));

    let cut = shelf.datasets.encode("a".into(), 1, wick(8)).await.unwrap();
    assert_eq!((cut.sequences[0].tokens, cut.sequences[0].cut), (8, sequence.tokens - 8));
    let lengths = shelf.datasets.lengths("a".into(), wick(8)).await.unwrap();
    assert_eq!(
        (lengths.rows, lengths.truncated, lengths.longest, lengths.whole),
        (2, 2, sequence.tokens, true)
    );
}

#[tokio::test]
async fn what_decides_the_tokens_of_a_run_decides_these() {
    let info =
        r#"{"a": {"file_name": "a.json", "columns": {"prompt": "q", "response": "a", "history": "h"}}}"#;
    let shelf = Shelf::new(info, &[("a.json", r#"[{"q": "Two?", "a": "B.", "h": [["One?", "A."]]}]"#)]);
    let texts = async |encoding: Encoding| {
        let row = shelf.datasets.encode("a".into(), 1, encoding).await.unwrap();
        let text = |trained: Option<bool>| {
            let pieces = row.sequences[0].pieces.iter();
            let shown = pieces.filter(|piece| trained.is_none_or(|trained| piece.trained == trained));
            shown.map(|piece| piece.text.as_str()).collect::<String>()
        };
        (text(None), text(Some(true)))
    };
    let (_, trained) = texts(wick(1024)).await;
    assert!(trained.contains("A.") && trained.contains("B.") && !trained.contains("Two?"), "{trained}");
    let (_, trained) = texts(Encoding { mask_history: true, ..wick(1024) }).await;
    assert!(!trained.contains("A.") && trained.contains("B."), "{trained}");
    let (_, trained) = texts(Encoding { train_on_prompt: true, ..wick(1024) }).await;
    assert!(trained.contains("Two?"), "{trained}");
    let (all, _) = texts(Encoding { default_system: "Be brief.".into(), ..wick(1024) }).await;
    assert!(all.contains("Be brief."), "{all}");
    let (all, trained) = texts(Encoding { plain_text: true, ..wick(1024) }).await;
    assert!(all.starts_with("One?") && all == trained && !all.contains("A."), "{all}");
}

#[tokio::test]
async fn checks_of_a_folder_name_the_file() {
    let good = r#"{"instruction": "Q", "output": "A"}"#;
    let shelf = Shelf::new(r#"{"a": {"file_name": "parts"}}"#, &[]);
    fs::create_dir(shelf.folder.join("parts")).unwrap();
    for (name, row) in
        [("a.jsonl", good), ("b.jsonl", r#"{"instruction": 3, "output": "A"}"#), ("c.jsonl", "{")]
    {
        fs::write(shelf.folder.join("parts").join(name), format!("{good}\n{row}\n")).unwrap();
    }
    let done = shelf.checked("a").await;
    let found: Vec<_> = done.problems.iter().map(|p| (p.row, p.message.as_str())).collect();
    assert_eq!((done.rows, found.len()), (6, 2), "{found:?}");
    assert!(found[0].0 == 4 && found[0].1.starts_with("b.jsonl, row 2: should be a text"), "{found:?}");
    assert!(
        found[1].0 == 6 && found[1].1.starts_with("c.jsonl, line 2: row 2 is not valid JSON"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_column_that_is_nowhere_is_said_once() {
    let shelf = Shelf::new(
        r#"{"a": {"file_name": "a.jsonl"}}"#,
        &[("a.jsonl", r#"{"Instruction": "Q", "output": "A"}"#)],
    );
    let error = shelf.checked("a").await.error.unwrap_or_default();
    assert!(error.contains("no row has the column \"instruction\""), "{error}");
}

#[tokio::test]
async fn a_list_with_a_name_twice_is_not_written_over() {
    let info = "{\"a\": {\"file_name\": \"a.jsonl\"},\n\"a\": {\"hf_hub_url\": \"x/y\"},\n\"b\": {\"file_name\": \"a.jsonl\"}}";
    let shelf = Shelf::new(info, &[("a.jsonl", ROWS)]);
    let list = shelf.datasets.list().await.unwrap();
    let problems: Vec<_> = list.entries.iter().map(|entry| entry.problem.as_deref()).collect();
    assert!(
        matches!(problems.as_slice(), [Some(a), None] if a.contains("line 1 and again on line 2")),
        "{problems:?}"
    );
    assert!(shelf.preview("b", 1).await.is_ok());
    assert!(matches!(shelf.datasets.delete_entry("b".into()).await, Err(BoardError::Refused(_))));
    assert_eq!(fs::read_to_string(shelf.folder.join("dataset_info.json")).unwrap(), info);
}

#[tokio::test]
async fn pairs_are_encoded_twice() {
    let info = r#"{"p": {"file_name": "p.json", "ranking": true,
        "columns": {"prompt": "q", "chosen": "good", "rejected": "bad"}}}"#;
    let shelf = Shelf::new(info, &[("p.json", r#"[{"q": "Q", "good": "Yes", "bad": "No"}]"#)]);
    let encoded = shelf.datasets.encode("p".into(), 1, wick(64)).await.unwrap();
    let answers: Vec<_> = encoded.sequences.iter().map(|sequence| sequence.answer).collect();
    assert_eq!(answers, [Some(Speaker::Chosen), Some(Speaker::Rejected)]);
}

#[tokio::test]
async fn checks_name_rows_and_keys_and_forget_files_that_change() {
    let shelf = Shelf::new(r#"{"a": {"file_name": "a.jsonl"}}"#, &[("a.jsonl", ROWS)]);
    let check = || shelf.datasets.check("a".into(), wick(8));
    assert_eq!(check().await.unwrap().state, CheckState::None);
    let done = shelf.checked("a").await;
    assert_eq!((done.rows, done.bad, done.error.as_deref()), (4, 2, None));
    let found: Vec<_> = done.problems.iter().map(|problem| (problem.row, problem.key.as_str())).collect();
    assert_eq!(found, [(2, "instruction"), (3, "")]);
    assert!(done.problems[1].message.contains("line 3"), "{done:?}");
    let lengths = done.lengths.unwrap();
    assert_eq!((lengths.rows, lengths.truncated, lengths.whole), (2, 2, true));

    fs::write(shelf.folder.join("a.jsonl"), &ROWS[..10]).unwrap();
    assert_eq!(check().await.unwrap().state, CheckState::None);
}

#[tokio::test]
async fn entries_are_guessed_saved_renamed_and_deleted() {
    let info = r#"{"first": {"file_name": "b.jsonl"}, "mine": {"file_name": "a.jsonl", "num_samples": 3}}"#;
    let shelf = Shelf::new(
        info,
        &[("a.jsonl", ROWS), ("b.jsonl", ROWS), ("q.jsonl", r#"{"question": "Q", "answer": "A"}"#)],
    );
    let datasets = &shelf.datasets;
    let stored = || fs::read_to_string(shelf.folder.join("dataset_info.json")).unwrap();

    let form = datasets.entry_form(String::new(), "q.jsonl".into()).await.unwrap();
    assert_eq!((form.draft.name.as_str(), form.draft.columns["prompt"].as_str()), ("q", "question"));
    datasets.save_entry(None, form.draft.clone()).await.unwrap();
    assert_eq!(shelf.preview("q", 1).await.unwrap().rows[0].turns.len(), 2);
    assert!(matches!(datasets.save_entry(None, form.draft.clone()).await, Err(BoardError::Refused(_))));

    let mut mine = datasets.entry_form("mine".into(), String::new()).await.unwrap();
    assert_eq!(
        (mine.own_file.as_deref(), mine.draft.columns["prompt"].as_str()),
        (Some("a.jsonl"), "instruction")
    );
    mine.draft.name = "ours".into();
    datasets.save_entry(mine.original, mine.draft).await.unwrap();
    let names: Vec<_> = datasets.list().await.unwrap().entries.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["first", "ours", "q"]);
    assert!(stored().contains("\"num_samples\": 3"), "{}", stored());
    let hub = EntryDraft {
        name: "hub".into(),
        hf_hub_url: "x/y".into(),
        subset: "en".into(),
        split: "test[:9]".into(),
        folder: "data".into(),
        num_samples: " 7 ".into(),
        ..EntryDraft::default()
    };
    datasets.save_entry(None, hub.clone()).await.unwrap();
    let again = datasets.entry_form("hub".into(), String::new()).await.unwrap().draft;
    assert_eq!(
        (again.subset, again.split, again.folder, again.num_samples.as_str()),
        (hub.subset.clone(), hub.split.clone(), hub.folder.clone(), "7")
    );
    for num_samples in ["many", "0", "-1"] {
        let draft = EntryDraft { name: "x".into(), num_samples: num_samples.into(), ..hub.clone() };
        assert!(
            matches!(datasets.save_entry(None, draft).await, Err(BoardError::Refused(_))),
            "{num_samples}"
        );
    }

    for (name, file) in
        [("", "a.jsonl"), ("a,b", "a.jsonl"), ("x", "../x.jsonl"), ("x", "/etc/passwd"), ("x", "none.json")]
    {
        let draft = EntryDraft { name: name.into(), file_name: file.into(), ..EntryDraft::default() };
        assert!(
            matches!(datasets.save_entry(None, draft).await, Err(BoardError::Refused(_))),
            "{name} {file}"
        );
    }
    assert!(datasets.entry_form(String::new(), "../secret".into()).await.is_err());

    datasets.delete_entry("ours".into()).await.unwrap();
    assert!(!shelf.folder.join("a.jsonl").exists() && !stored().contains("ours"));
    fs::write(shelf.folder.join("dataset_info.json"), "{").unwrap();
    assert!(matches!(datasets.delete_entry("first".into()).await, Err(BoardError::Refused(_))));
    assert_eq!(stored(), "{", "a broken list is never written over");
    assert!(shelf.folder.join("b.jsonl").exists());
}

#[tokio::test]
async fn files_that_others_use_are_kept() {
    let info = r#"{"a": {"file_name": "a.jsonl"}, "b": {"file_name": "./a.jsonl"},
        "hub": {"hf_hub_url": "x/y", "file_name": "c.jsonl"}}"#;
    let shelf = Shelf::new(info, &[("a.jsonl", ROWS), ("c.jsonl", ROWS)]);
    for name in ["a", "hub"] {
        shelf.datasets.delete_entry(name.into()).await.unwrap();
    }
    assert!(shelf.folder.join("a.jsonl").exists() && shelf.folder.join("c.jsonl").exists());
    shelf.datasets.delete_entry("b".into()).await.unwrap();
    assert!(!shelf.folder.join("a.jsonl").exists());
}

/// A folder of models with one beside the bundled one: its files, some of which are replaced.
fn with_model(folder: &Path, files: &[(&str, &str)]) {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/wick").canonicalize().unwrap();
    for name in ["wick", "evil"] {
        let model = folder.join(name);
        let _ = fs::remove_dir_all(&model);
        fs::create_dir_all(&model).unwrap();
        for entry in fs::read_dir(&bundled).unwrap() {
            let file = entry.unwrap();
            std::os::unix::fs::symlink(file.path(), model.join(file.file_name())).unwrap();
        }
    }
    for (name, text) in files {
        let _ = fs::remove_file(folder.join("evil").join(name));
        fs::write(folder.join("evil").join(name), text).unwrap();
    }
}

/// Templates and tokenizers that end or fill a process that trusts them: each is an error or harmless, and the next
/// request is answered.
#[tokio::test]
async fn hostile_models_are_errors_that_name_the_model() {
    let shelf = Shelf::new(r#"{"a": {"file_name": "a.jsonl"}}"#, &[("a.jsonl", ROWS)]);
    let models = shelf.folder.parent().unwrap().join("models");
    let many = |part: &str, count: usize| part.repeat(count);
    let marked = |source: &str| {
        format!(
            "{{% for m in messages %}}{{% generation %}}{{{{ m.content }}}}{{% endgeneration %}}{{% endfor %}}{source}"
        )
    };
    let template = |source: String| vec![("chat_template.jinja", marked(&source))];
    let doubling = format!("{{% set a = 'aa' %}}{}{{{{ a }}}}", many("{% set a = a ~ a %}", 40));
    let replace = r#"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#;
    let wick =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/wick/tokenizer.json"))
            .unwrap();
    let tokenizer = |normalizer: &str| {
        let mut whole: serde_json::Value = serde_json::from_str(&wick).unwrap();
        whole["normalizer"] = serde_json::from_str(normalizer).unwrap();
        vec![("tokenizer.json", whole.to_string())]
    };
    let hostile = [
        template(format!("{{{{ {}1 }}}}", many("not ", 100_000))),
        template(format!("{{{{ 1{} }}}}", many("|string", 100_000))),
        template("{% set a = namespace() %}{% set a.a = a %}{{ a }}".to_owned()),
        template("{% set a = namespace() %}{% set a.a = a %}{{ a|tojson }}".to_owned()),
        template("{{ 'a\nb'|indent('x' * 10**8) }}".to_owned()),
        template("{{ range(9999)|join('x'*100000) }}".to_owned()),
        template(many("{% for i in range(99999) %}", 4) + &many("{% endfor %}", 4)),
        template(doubling),
        tokenizer(&format!(r#"{{"type": "Sequence", "normalizers": [{}]}}"#, vec![replace; 40].join(","))),
        tokenizer(r#"{"type": "Precompiled", "precompiled_charsmap": "/////wAAAAA="}"#),
        tokenizer(r#"{"type": "Precompiled", "precompiled_charsmap": "AAAA"}"#),
        tokenizer(r#"{"type": "Replace", "pattern": {"String": ""}, "content": "b"}"#),
        vec![("config.json", r#"{"model_type": "llama", "num_hidden_layers": 4294967295}"#.to_owned())],
        vec![("config.json", many("[", 100_000))],
        vec![("tokenizer.json", many(r#"{"a":"#, 100_000))],
        vec![("tokenizer_config.json", many("[", 100_000))],
    ];
    for files in hostile {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        with_model(&models, &files);
        let shown: String = format!("{files:?}").chars().take(120).collect();
        let start = Instant::now();
        let evil = Encoding { model: "evil".into(), template: String::new(), ..wick_encoding() };
        let error = shelf.datasets.encode("a".into(), 1, evil).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(20), "{shown}: {:?}", start.elapsed());
        let BoardError::Refused(why) = &error else { panic!("{shown}: {error:?}") };
        assert!(why.contains("evil") && why.len() < 2000, "{shown}: {why}");
    }
    let encoded = shelf.datasets.encode("a".into(), 1, wick_encoding()).await.unwrap();
    assert_eq!(encoded.sequences.len(), 1);
}

fn wick_encoding() -> Encoding {
    wick(1024)
}

/// What is no file is refused at once, and pages come without the numbers of rows that take long.
#[tokio::test]
async fn pipes_and_wide_files_do_not_stop_the_pages() {
    let wide: String = (0..80_000).map(|n| format!("c{n},")).collect();
    let many: String = (0..9_999).map(|n| format!("c{n},")).collect();
    let info = r#"{"pipe": {"file_name": "p.jsonl"}, "wide": {"file_name": "wide.csv"},
        "many": {"file_name": "many.csv", "columns": {"prompt": "c0", "response": "c1"}}}"#;
    let cells = ",".repeat(9_999);
    let shelf = Shelf::new(info, &[("wide.csv", &wide), ("many.csv", &format!("{many}z\n{cells}\n"))]);
    let made = std::process::Command::new("mkfifo").arg(shelf.folder.join("p.jsonl")).status().unwrap();
    assert!(made.success());
    let start = Instant::now();
    let list = shelf.datasets.list().await.unwrap();
    let [pipe, wide, _] = list.entries.as_slice() else { panic!("{list:?}") };
    assert!(pipe.problem.as_ref().unwrap().contains("a named pipe"), "{pipe:?}");
    assert_eq!((wide.rows, &wide.problem), (None, &None));
    let said = |error: BoardError| format!("{error:?}");
    assert!(said(shelf.preview("pipe", 1).await.unwrap_err()).contains("a named pipe"));
    let wide = shelf.preview("wide", 1).await.unwrap();
    assert!(wide.rows[0].problem.as_ref().unwrap().contains("80001 columns; at most 10000"), "{wide:?}");
    assert_eq!(shelf.preview("many", 1).await.unwrap().rows.len(), 1);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[derive(serde::Serialize)]
struct Anything;

impl Request for Anything {
    fn subject(&self) -> String {
        "the thing".to_owned()
    }
}

/// Helpers that do as a script says, which gets a file to note its process in.
fn helpers(script: &str, folder: &Path) -> Helpers {
    let note = folder.join("pid");
    let script = format!("echo $$ > {}; {script}", note.display());
    let args = ["-c".into(), script.into(), "helper".into()].to_vec();
    let folder = folder.to_owned();
    let folders = Folders { models_dir: folder.clone(), data_dir: folder.clone(), runs_dir: folder };
    Helpers::new(WorkerCommand { program: PathBuf::from("/bin/sh"), args }, Arc::new(folders))
}

/// Whether the process that a helper noted is gone.
async fn is_gone(folder: &Path) -> bool {
    let pid = fs::read_to_string(folder.join("pid")).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    for _ in 0..200 {
        if state().is_empty() || state().contains(") Z ") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn helpers_that_stand_still_break_or_are_waited_for_no_more_are_ended() {
    let dir = tempfile::tempdir().unwrap();
    let ask = async |script: &str, within: u64| {
        let helpers = helpers(script, dir.path());
        let asked = helpers.ask::<String>(&Anything, Duration::from_millis(within)).await;
        asked.map_err(|error| format!("{error:?}"))
    };
    assert_eq!(ask(r#"read line; echo '{"done":"x"}'; read line"#, 10_000).await, Ok("x".to_owned()));
    let failed = ask(r#"read line; echo '{"failed":{"Refused":"no"}}'; read line"#, 10_000).await;
    assert_eq!(failed, Err("Refused(\"no\")".to_owned()));
    let late = ask("exec sleep 60", 300).await.unwrap_err();
    assert!(late.contains("the thing takes longer") && is_gone(dir.path()).await, "{late}");
    let dead = ask("exit 3", 10_000).await.unwrap_err();
    assert!(dead.contains("the thing cannot be read"), "{dead}");
    let full =
        ask("read line; echo memory allocation of 9 bytes failed >&2; exit 1", 10_000).await.unwrap_err();
    assert!(full.contains("the thing needs more memory"), "{full}");
    // Whoever asked leaves.
    let helpers = helpers("exec sleep 60", dir.path());
    let asked = helpers.ask::<String>(&Anything, Duration::from_secs(60));
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    assert!(is_gone(dir.path()).await);
}
