//! Broken and unusual data sets: each loads as documented or is refused in one sentence with its place.

mod openai;

use std::path::Path;

use super::{Catalog, Dataset, Format, Kind, Rows, Source, Split};
use crate::template::{Message, Role};

/// A data folder with `dataset_info.json` and one file.
fn folder(info: &str, file: &str, content: impl AsRef<[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("dataset_info.json"), info).expect("dataset_info.json");
    std::fs::write(folder.path().join(file), content).expect(file);
    folder
}

fn load(folder: &Path, kind: Kind) -> Result<Dataset, String> {
    let catalog = Catalog::open(folder).map_err(|e| e.to_string())?;
    catalog.load("d", kind, None, 1).map_err(|e| e.to_string())
}

/// The message for rows of a file called `name`, which must be refused.
fn refusal(info: &str, name: &str, content: impl AsRef<[u8]>) -> String {
    let folder = folder(info, name, content);
    let message = load(folder.path(), Kind::Supervised).expect_err("should be refused");
    assert!(!message.contains('\n'), "one sentence: {message}");
    message.replace(&folder.path().display().to_string(), "DIR")
}

const JSON: &str = r#"{"d": {"file_name": "d.json"}}"#;
const JSONL: &str = r#"{"d": {"file_name": "d.jsonl"}}"#;
const CHAT: &str = r#"{"d": {"file_name": "d.json", "formatting": "sharegpt"}}"#;
const GOOD: &str = r#"[{"instruction": "Q", "input": "more", "output": "A"}]"#;

#[test]
fn a_broken_dataset_info_names_the_place() {
    for (info, expected) in [
        ("", "dataset_info.json, line 1"),
        (
            "{\n \"d\": {\"file_name\": \"d.json\",}\n}",
            "dataset_info.json, line 2, column 30: not valid JSON",
        ),
        ("[]", "should be an object of datasets by name, not a list"),
        (r#"{"other": {}, "more": {}}"#, "dataset \"d\": does not exist; there are other, more"),
        ("{}", "does not exist; the file has none"),
        (r#"{"d": 3}"#, "dataset \"d\": should be an object, not a number: 3"),
        (r#"{"d": {}}"#, "has no \"file_name\""),
        (r#"{"d": {"file_name": ["d.json"]}}"#, "\"file_name\" should be a text, not a list"),
        (r#"{"d": {"file_name": "../d.json"}}"#, "leaves the data folder"),
        (
            r#"{"d": {"hf_hub_url": "../set"}}"#,
            "\"hf_hub_url\" is \"../set\", which is not a name like owner/name",
        ),
        (r#"{"d": {"file_name": "d.json", "formatting": "chatty"}}"#, "allowed are alpaca, sharegpt, openai"),
        (
            r#"{"d": {"file_name": "d.json", "ranking": "yes"}}"#,
            "\"ranking\" should be true or false, not a text",
        ),
        (
            r#"{"d": {"file_name": "d.json", "num_samples": 0}}"#,
            "\"num_samples\" should be a number above 0 and at most 100000000",
        ),
        (
            r#"{"d": {"file_name": "d.json", "columns": {"promt": "q"}}}"#,
            "\"columns\" does not name \"prompt\"; key \"promt\" of \"columns\" is unknown",
        ),
        (
            r#"{"d": {"file_name": "d.json", "tags": {"role_tag": 1}}}"#,
            "\"tags\".\"role_tag\" should be a text",
        ),
        (
            r#"{"d": {"file_name": "d.json", "columns": {"prompt": "q"}}}"#,
            "no row has the column \"q\" (prompt)",
        ),
        (r#"{"d": {"file_name": "d.json", "columns": {"query": "input"}}}"#, "does not name \"prompt\""),
        (r#"{"d": {"file_name": "none.json"}}"#, "cannot read DIR/none.json"),
        (
            r#"{"d": {"file_name": "d.json", "ranking": true}}"#,
            "pairs of answers, which this stage does not train on",
        ),
    ] {
        let message = refusal(info, "d.json", GOOD);
        assert!(message.contains(expected), "{info}: {message}");
    }
}

#[test]
fn what_is_there_twice_is_refused_with_its_lines_and_hides_nothing_else() {
    let info = "{\n\"d\": {\"file_name\": \"d.json\"},\n\"twice\": {\"file_name\": \"d.json\"},\n\
        \"inner\": {\n\"columns\": {\"prompt\": \"a\", \"prompt\": \"b\"}},\n\"twice\": {}}";
    let folder = folder(info, "d.json", GOOD);
    let catalog = Catalog::open(folder.path()).expect("the catalog");
    assert_eq!(catalog.names().collect::<Vec<_>>(), ["d", "twice", "inner"]);
    assert!(catalog.get("d").is_ok());
    let message = |name: &str| catalog.get(name).expect_err("ambiguous").to_string();
    assert!(
        message("twice").contains("\"twice\": stands on line 3 and again on line 6;"),
        "{}",
        message("twice")
    );
    assert!(message("inner").contains("has the key \"prompt\" twice (the entry begins on line 4)"));
    assert!(catalog.into_entries().is_err(), "written back, one of the two would be lost");
}

#[test]
fn columns_may_come_behind_the_rows_that_are_taken() {
    let info =
        r#"{"d": {"file_name": "d.jsonl", "columns": {"prompt": "q", "response": "a", "system": "s"}}}"#;
    let rows = "{\"q\": \"Q\", \"a\": \"A\"}\n{\"q\": \"Q\", \"a\": \"A\", \"s\": \"S\"}\n";
    let folder = folder(info, "d.jsonl", rows);
    let catalog = Catalog::open(folder.path()).expect("the catalog");
    assert_eq!(catalog.load("d", Kind::Supervised, Some(1), 1).expect("a row").records.len(), 1);
}

#[test]
fn reading_ends_where_nobody_knows_where_the_next_row_begins() {
    let rows = "instruction,output\nQ,A\n".repeat(50);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, rows.as_bytes()).expect("in memory");
    let packed = packed.finish().expect("in memory");
    let folder = folder("{}", "d.csv.gz", &packed[..packed.len() - 4]);
    let rows: Vec<_> = Rows::of(vec![folder.path().join("d.csv.gz")]).take(1000).collect();
    assert!(rows.len() < 1000 && rows.last().is_some_and(Result::is_err), "{}", rows.len());
}

#[test]
fn a_missing_dataset_info_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let message = load(folder.path(), Kind::Supervised).expect_err("should be refused");
    assert!(message.contains("dataset_info.json"), "{message}");
}

#[test]
fn a_broken_file_names_the_line() {
    for (content, expected) in [
        ("", "d.json: is empty"),
        ("[]", "d.json: is empty"),
        ("[{\"instruction\": \"Q\"},\n {\"instruction\": ]", "d.json, line 2"),
        (
            "[{\"instruction\": \"Q\", \"output\": \"A\"},\n]",
            "d.json, line 2, column 1: row 2: not valid JSON: trailing comma",
        ),
        ("[1]", "row 1 should be an object, not a number: 1"),
        ("\"text\"", "row 1 should be an object, not a text"),
    ] {
        let message = refusal(JSON, "d.json", content);
        assert!(message.contains(expected), "{content}: {message}");
    }
    let message =
        refusal(JSONL, "d.jsonl", "{\"instruction\": \"Q\", \"output\": \"A\"}\n\n{\"instruction\": 'Q'}\n");
    assert!(message.contains("d.jsonl, line 3, column 17: row 2 is not valid JSON"), "{message}");
    let message = refusal(JSON, "d.json", b"[{\"instruction\":\n \"\xff\"}]");
    assert!(message.contains("d.json, line 2: row 1 is not UTF-8"), "{message}");
    let deep = format!("[{{\"instruction\": {}{}}}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refusal(JSON, "d.json", deep).contains("recursion limit"));
    let message = refusal(r#"{"d": {"file_name": "d.xlsx"}}"#, "d.xlsx", "PK");
    assert!(message.contains("files ending in \".xlsx\" are not read"), "{message}");
}

#[test]
fn a_bad_row_names_file_row_and_key() {
    let history = r#"{"d": {"file_name": "d.json", "columns": {"prompt": "q", "response": "a", "history": "h", "images": "i"}}}"#;
    for (info, content, expected) in [
        (
            JSON,
            r#"[{"instruction": "Q", "output": "A"}, {"instruction": 3, "output": "A"}]"#,
            "d.json, row 2, key \"instruction\": should be a text, not a number: 3",
        ),
        (
            JSON,
            r#"[{"instruction": "Q", "output": ["A", "B"]}]"#,
            "row 1, key \"output\": should be a text, not a list",
        ),
        (
            history,
            r#"[{"q": "Q", "a": "A", "h": [["only"]]}]"#,
            "key \"h\": should be a list of [question, answer] pairs",
        ),
        (
            history,
            r#"[{"q": "Q", "a": "A", "i": ["1.jpg"]}]"#,
            "key \"i\": has media; only text can be trained on",
        ),
        (
            CHAT,
            r#"[{"conversations": "hello"}]"#,
            "key \"conversations\": should be a list of messages, not a text",
        ),
        (CHAT, r#"[{"conversations": ["hello"]}]"#, "message 1 should be an object, not a text"),
        (
            CHAT,
            r#"[{"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt"}]}]"#,
            "row 1, key \"conversations\": message 2: \"value\" is missing",
        ),
        (
            CHAT,
            r#"[{"conversations": [{"from": "human", "value": null}]}]"#,
            "message 1: \"value\" should be a text, not null",
        ),
    ] {
        let message = refusal(info, "d.json", content);
        assert!(message.contains(expected), "{content}: {message}");
    }
}

#[test]
fn rows_that_do_not_fit_are_left_out_and_said_so() {
    let content = r#"[
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
        {"conversations": [{"from": "robot", "value": "Q"}, {"from": "gpt", "value": "A"}]},
        {"conversations": [{"from": "gpt", "value": "A"}, {"from": "human", "value": "Q"}]},
        {"conversations": [{"from": "human", "value": "Q"}]},
        {"conversations": []}
    ]"#;
    let folder = folder(CHAT, "d.json", content);
    let dataset = load(folder.path(), Kind::Supervised).expect("the first row is good");
    assert_eq!(dataset.records.len(), 1);
    let reasons: Vec<(usize, &str)> =
        dataset.skipped.iter().map(|row| (row.row, row.reason.as_str())).collect();
    assert_eq!(reasons.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert!(reasons[0].1.contains("unknown role \"robot\""));
    assert!(reasons[1].1.contains("turn 1 should be a question"));
    assert!(reasons[2].1.contains("has no answer"));
    assert!(dataset.skipped[0].to_string().contains("d.json, row 2, key \"conversations\""));
}

#[test]
fn if_no_row_is_left_the_first_reason_is_given() {
    let message = refusal(JSON, "d.json", r#"[{"instruction": "Q", "output": null}]"#);
    assert!(
        message.contains("no row can be used; the first: DIR/d.json, row 1, key \"output\""),
        "{message}"
    );
}

#[test]
fn bom_crlf_and_blank_lines_are_fine() {
    let content = "\u{feff}{\"instruction\": \"Q\", \"output\": \"A\"}\r\n\r\n{\"instruction\": \"R\", \"output\": \"B\"}\r\n";
    let folder = folder(JSONL, "d.jsonl", content);
    let dataset = load(folder.path(), Kind::Supervised).expect("two rows");
    assert_eq!(dataset.records.len(), 2);
    assert_eq!(dataset.records[1].prompt, [Message::new(Role::User, "R")]);
}

#[test]
fn text_files_have_a_row_per_line() {
    let info = r#"{"d": {"file_name": "d.txt", "columns": {"prompt": "text"}}}"#;
    let folder = folder(info, "d.txt", "one\r\n\ntwo");
    let dataset = load(folder.path(), Kind::Text).expect("three rows");
    let texts: Vec<&str> = dataset.records.iter().map(|record| record.prompt[0].content.as_str()).collect();
    assert_eq!(texts, ["one", "", "two"]);
}

#[test]
fn folders_are_read_in_the_order_of_names_and_hold_one_kind() {
    let info = r#"{"d": {"file_name": "parts", "columns": {"prompt": "text"}}}"#;
    let folder = folder(info, "unused", "");
    let parts = folder.path().join("parts");
    std::fs::create_dir(&parts).expect("a folder");
    std::fs::write(parts.join("b.txt"), "two\n").expect("b.txt");
    std::fs::write(parts.join("a.txt"), "one\n").expect("a.txt");
    let dataset = load(folder.path(), Kind::Text).expect("two rows");
    assert_eq!(dataset.records[0].prompt[0].content, "one");
    std::fs::write(parts.join("c.json"), "[]").expect("c.json");
    let message = load(folder.path(), Kind::Text).expect_err("two kinds");
    assert!(message.contains("a.txt and c.json"), "{message}");
}

#[test]
fn samples_are_drawn_by_seed_and_then_cut() {
    let info = r#"{"d": {"file_name": "d.txt", "num_samples": 5, "columns": {"prompt": "text"}}}"#;
    let folder = folder(info, "d.txt", "a\nb\nc\n");
    let catalog = Catalog::open(folder.path()).expect("the catalog");
    let texts = |seed: u64, most: Option<usize>| -> Vec<String> {
        let dataset = catalog.load("d", Kind::Text, most, seed).expect("rows");
        dataset.records.iter().map(|record| record.prompt[0].content.clone()).collect()
    };
    let all = texts(1, None);
    assert_eq!(all.len(), 5);
    assert!(["a", "b", "c"].iter().all(|text| all[..3].contains(&(*text).to_owned())));
    assert_eq!(texts(1, None), all);
    assert_eq!(texts(1, Some(2)), all[..2]);
}

#[test]
fn online_every_name_is_one_on_a_hub() {
    let catalog = Catalog::at("ONLINE").expect("a catalog");
    let info = catalog.get("owner/name").expect("an entry");
    let Source::Hub(hub) = info.source else { panic!("{info:?}") };
    assert_eq!(hub.hugging_face.or(hub.model_scope).as_deref(), Some("owner/name"));
    assert!(info.split == Split::default() && info.format == Format::Alpaca);
    let message = catalog.get("../secret").expect_err("no name").to_string();
    assert!(message.contains("which is not a name like owner/name"), "{message}");
}

#[test]
fn the_recipe_names_the_split_of_data_on_a_hub() {
    let folder = tempfile::tempdir().expect("a folder");
    let entries = r#"{"plain": {"hf_hub_url": "a/b"}, "own": {"hf_hub_url": "a/b", "split": "dev"}, "file": {"file_name": "x.json"}}"#;
    std::fs::write(folder.path().join("dataset_info.json"), entries).expect("written");
    let recipe = recipe::Recipe {
        dataset_dir: folder.path().display().to_string(),
        split: "test[:9]".to_owned(),
        ..recipe::Recipe::default()
    };
    let catalog = Catalog::of_recipe(&recipe, &crate::hub::Hubs::from_env()).expect("a catalog");
    let splits = ["plain", "own", "file"].map(|name| {
        let split = catalog.get(name).expect("an entry").split;
        (split.name, split.rows.end)
    });
    let all = usize::MAX;
    assert_eq!(splits, [("test".to_owned(), 9), ("dev".to_owned(), all), ("train".to_owned(), all)]);
}

#[test]
fn python_words_for_no_number_are_empty_cells() {
    let rows = r#"[{"instruction": "Who keeps the lamp?", "input": NaN, "output": "Old Tamsin.", "score": Infinity},
        {"instruction": "Where?", "input": "NaN", "output": "[NaN, -Infinity]", "score": -Infinity}]"#;
    let folder = folder(JSON, "d.json", rows);
    let records = load(folder.path(), Kind::Supervised).expect("two rows").records;
    assert_eq!(records[0].prompt, [Message::new(Role::User, "Who keeps the lamp?")]);
    assert_eq!(records[1].prompt, [Message::new(Role::User, "Where?\nNaN")]);
    assert_eq!(records[1].response, [Message::new(Role::Assistant, "[NaN, -Infinity]")]);
}
