use std::fs;

use app::api::{CheckState, DatasetPlace, Speaker};

use super::*;

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
        let models_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").canonicalize().unwrap();
        let folders = Folders { models_dir, data_dir: root.join("data"), runs_dir: root.join("runs") };
        let folders = folders.prepare().unwrap();
        let folder = folders.data_dir.clone();
        fs::write(folder.join("dataset_info.json"), info).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        let datasets = Datasets::new(Arc::new(folders), Arc::default(), upload::LARGEST);
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
