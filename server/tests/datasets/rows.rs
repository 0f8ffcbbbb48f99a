//! Rows: how they are shown and encoded, and what checks find in them.

use std::fs;

use wire::{BoardError, CheckState, DatasetsApi, Encoding, Speaker};

use crate::shelf::{ROWS, Shelf, wick};

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
