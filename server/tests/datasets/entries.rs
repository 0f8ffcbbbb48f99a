//! The list of data sets and its entries.

use std::fs;

use wire::{BoardError, DatasetPlace, DatasetsApi, EntryDraft};

use crate::shelf::{ROWS, Shelf};

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
