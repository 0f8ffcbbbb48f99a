//! Several data sets: mixed, split, drawn from, streamed and stored.

use recipe::MixStrategy;

use super::*;
use crate::store::TableWriter;

/// A data folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect(name);
    }
    folder
}

/// Rows whose questions are numbers from `start` on.
fn rows(start: usize, count: usize) -> String {
    let rows = (start..start + count).map(|n| format!("{{\"instruction\": \"{n}\", \"output\": \"A\"}}\n"));
    rows.collect()
}

const TWO_SETS: &str = r#"{"a": {"file_name": "a.jsonl"}, "b": {"file_name": "b.jsonl"}}"#;

fn two_sets() -> tempfile::TempDir {
    folder(&[("dataset_info.json", TWO_SETS), ("a.jsonl", &rows(100, 3)), ("b.jsonl", &rows(200, 6))])
}

fn of(folder: &tempfile::TempDir, names: &[&str]) -> Recipe {
    Recipe {
        dataset: names.iter().map(|name| (*name).to_owned()).collect(),
        dataset_dir: folder.path().display().to_string(),
        ..recipe("default")
    }
}

/// The numbers that the questions of `examples` are.
fn questions(examples: &Examples, count: usize) -> Vec<usize> {
    let tokenizer = Tokenizer::from_folder(&Path::new(BASE).join("base")).expect("the tokenizer");
    let number = |place: usize| {
        let text = tokenizer.decode(&examples.get(place).expect("an example").ids, false).expect("a text");
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    (0..count).map(number).collect()
}

#[test]
fn data_sets_are_mixed_as_the_recipe_says() {
    let folder = two_sets();
    let order = |mix_strategy, shares: &[&str]| {
        let interleave_probs = shares.iter().map(|share| (*share).to_owned()).collect();
        let train = run(&Recipe { mix_strategy, interleave_probs, ..of(&folder, &["a", "b"]) })
            .expect("data")
            .0
            .train;
        questions(&train, train.len())
    };
    assert_eq!(order(MixStrategy::Concat, &[]), [100, 101, 102, 200, 201, 202, 203, 204, 205]);
    assert_eq!(order(MixStrategy::InterleaveUnder, &[]), [100, 200, 101, 201, 102, 202]);
    let over = [100, 200, 101, 201, 102, 202, 100, 203, 101, 204, 102, 205];
    assert_eq!(order(MixStrategy::InterleaveOver, &[]), over);
    // As `datasets.interleave_datasets` draws with seed 42.
    assert_eq!(order(MixStrategy::InterleaveUnder, &["0.5", "0.5"]), UNDER);
}

/// As LLaMA-Factory splits 6 rows with seed 42: `train_test_split(test_size=2, seed=42)`.
#[test]
fn the_split_is_that_of_datasets() {
    let folder = two_sets();
    let split = run(&Recipe { val_size: 2.0, ..of(&folder, &["b"]) }).expect("data").0;
    assert_eq!(
        (questions(&split.eval[0].examples, 2), questions(&split.train, 4)),
        (EVAL.to_vec(), TRAIN.to_vec())
    );
}

#[test]
fn each_data_set_is_evaluated_by_itself_if_asked_for() {
    let folder = two_sets();
    let stored = folder.path().join("encoded").display().to_string();
    let together =
        Recipe { eval_dataset: vec!["a".into(), "b".into()], do_eval: true, ..of(&folder, &["b"]) };
    let eval = |recipe: &Recipe| run(recipe).expect("data").0.eval;
    let of_both = eval(&together);
    assert_eq!((of_both.len(), of_both[0].name.clone(), of_both[0].examples.len()), (1, None, 9));
    let each = Recipe { eval_on_each_dataset: true, ..together };
    let stored = Recipe { tokenized_path: Some(stored), ..each.clone() };
    let streamed = Recipe { streaming: true, max_steps: 2, ..each.clone() };
    // The last one reads what the one before has stored.
    for recipe in [&each, &streamed, &stored, &stored] {
        let found: Vec<_> = eval(recipe)
            .iter()
            .map(|set| (set.name.clone().unwrap_or_default(), questions(&set.examples, set.examples.len())))
            .collect();
        let expected = [("a".to_owned(), vec![100, 101, 102]), ("b".to_owned(), (200..206).collect())];
        assert_eq!(found, expected);
    }
}

#[test]
fn rows_are_drawn_as_numpy_draws_them() {
    let info = r#"{"b": {"file_name": "b.jsonl", "num_samples": 8}}"#;
    let folder = folder(&[("dataset_info.json", info), ("b.jsonl", &rows(200, 6))]);
    let train = run(&of(&folder, &["b"])).expect("data").0.train;
    assert_eq!(questions(&train, train.len()), DRAWN);
    let train = run(&Recipe { max_samples: Some(3), ..of(&folder, &["b"]) }).expect("data").0.train;
    assert_eq!(questions(&train, train.len()), DRAWN[..3]);
}

#[test]
fn streams_are_shuffled_and_start_again() {
    let folder = two_sets();
    let streamed = Recipe { streaming: true, max_steps: 10, buffer_size: 2, ..of(&folder, &["a", "b"]) };
    let train = run(&streamed).expect("data").0.train;
    assert_eq!(train.len(), 10 * streamed.examples_per_step());
    let mut first = questions(&train, 9);
    assert_ne!(first, [100, 101, 102, 200, 201, 202, 203, 204, 205]);
    first.sort_unstable();
    assert_eq!(first, [100, 101, 102, 200, 201, 202, 203, 204, 205], "an epoch misses nothing");
    // A resumed run goes on where it stood; it never goes back.
    let whole = run(&streamed).expect("data").0.train;
    let resumed = run(&streamed).expect("data").0.train;
    let later: Vec<_> = (0..20).map(|place| whole.get(place).expect("an example")).skip(12).collect();
    assert_eq!(resumed.get(12).ok(), later.first().cloned());
    assert_eq!(resumed.get(19).ok(), later.last().cloned());
    assert!(resumed.get(3).is_err());

    let held_out = run(&Recipe { val_size: 2.0, ..streamed }).expect("data").0;
    let eval = questions(&held_out.eval[0].examples, held_out.eval[0].examples.len());
    let mut all = questions(&held_out.train, 7);
    assert_eq!(eval.len(), 2);
    assert!(eval.iter().all(|question| !all.contains(question)), "{eval:?} {all:?}");
    all.extend(eval);
    all.sort_unstable();
    assert_eq!(all, first);
}

#[test]
fn a_stream_tells_of_rows_that_it_leaves_out() {
    let content = format!("{}{{\"instruction\": \"no answer\"}}\n{}", rows(1, 2), rows(3, 2));
    let info = r#"{"a": {"file_name": "a.jsonl"}}"#;
    let folder = folder(&[("dataset_info.json", info), ("a.jsonl", &content)]);
    let streamed = Recipe { streaming: true, max_steps: 3, ..of(&folder, &["a"]) };
    let train = run(&streamed).expect("data").0.train;
    let remarks = train.remarks();
    assert!(remarks.iter().any(|remark| remark.contains("a.jsonl, row 3, key \"output\"")), "{remarks:?}");
    assert!(train.remarks().is_empty());
}

#[test]
fn a_stream_tells_of_a_column_that_its_first_rows_lack() {
    let info = |column: &str| {
        format!(
            r#"{{"a": {{"file_name": "a.jsonl", "columns": {{"prompt": "instruction", "response": "output", "system": "{column}"}}}}}}"#
        )
    };
    let long = rows(0, 1200) + "{\"instruction\": \"1\", \"output\": \"A\", \"late\": \"S\"}\n";
    let long = folder(&[("dataset_info.json", &info("late")), ("a.jsonl", &long)]);
    let streamed = |folder| Recipe { streaming: true, max_steps: 1, buffer_size: 1, ..of(folder, &["a"]) };
    let lines = run(&streamed(&long)).expect("data").1;
    assert!(lines.iter().any(|line| line.contains("none of the first 1000 rows has the column \"late\"")));
    let short = folder(&[("dataset_info.json", &info("none")), ("a.jsonl", &rows(0, 3))]);
    assert!(refusal(&streamed(&short)).contains("no row has the column \"none\" (system)"));
}

#[test]
fn a_cache_that_cannot_be_written_does_without() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("file"), "").expect("a file");
    let write = |mut writer: TableWriter| {
        writer.push(Some(&Example::new(vec![1, 2], vec![1, 2])))?;
        writer.finish(Vec::new())
    };
    // No folder can be made where a file is.
    let place = folder.path().join("file/encoded/a.tokens");
    let (lines, table) = logged(|observer| sets::written(&place, write, observer));
    let table = table.expect("the rows");
    assert_eq!(table.get(0).expect("a row").ids, [1, 2]);
    assert!(lines.len() == 1 && lines[0].contains("file/encoded") && lines[0].contains("CHANDLER_CACHE"));
    let broken = |_: TableWriter| Err(Error::Setting { key: "x", message: "wrong".into() });
    assert!(sets::written(&place, broken, &mut Observer::deaf()).is_err_and(|e| e.to_string() == "x: wrong"));
}

#[test]
fn encoded_data_are_stored_and_read_again() {
    let folder = two_sets();
    let stored = folder.path().join("encoded");
    for packing in [None, Some(true)] {
        let _ = std::fs::remove_dir_all(&stored);
        let recipe = Recipe {
            tokenized_path: Some(stored.display().to_string()),
            val_size: 2.0,
            packing,
            ..of(&folder, &["a", "b"])
        };
        let all = |examples: &Examples| examples.iter().collect::<Result<Vec<_>>>().expect("examples");
        let (first, lines) = run(&recipe).expect("data");
        assert!(lines.iter().any(|line| line.contains("tokenized dataset is stored")), "{lines:?}");
        // The files are no longer needed.
        std::fs::rename(folder.path().join("a.jsonl"), folder.path().join("away")).expect("a rename");
        let (second, lines) = run(&recipe).expect("data");
        std::fs::rename(folder.path().join("away"), folder.path().join("a.jsonl")).expect("a rename");
        assert!(lines.iter().any(|line| line.contains("is read from")), "{lines:?}");
        assert_eq!(all(&first.train), all(&second.train));
        assert_eq!(all(&first.eval[0].examples), all(&second.eval[0].examples));
    }
    // A run that was killed while it saved left files, but not the one that is written last.
    let cut = tempfile::tempdir().expect("a temporary folder");
    for name in ["validation.tokens", "validation-1.tokens", "validation.json", ".train.tokens.17-0.partial"]
    {
        std::fs::write(cut.path().join(name), "half").expect("a file");
    }
    let recipe =
        Recipe { tokenized_path: Some(cut.path().display().to_string()), ..of(&folder, &["a", "b"]) };
    for word in ["stored", "read"] {
        let lines = run(&recipe).expect("data").1;
        assert!(
            lines.iter().any(|line| line.contains("tokenized dataset is") && line.contains(word)),
            "{lines:?}"
        );
    }
    let foreign = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(foreign.path().join("dataset_dict.json"), "{}").expect("a file");
    let path = foreign.path().display().to_string();
    let message = refusal(&Recipe { tokenized_path: Some(path), ..of(&folder, &["a"]) });
    assert!(message.starts_with("tokenized_path:") && message.contains("LLaMA-Factory's"), "{message}");
}

const UNDER: [usize; 8] = [200, 100, 201, 202, 101, 203, 204, 205];
const EVAL: [usize; 2] = [203, 202];
const TRAIN: [usize; 4] = [205, 204, 201, 200];
const DRAWN: [usize; 8] = [200, 201, 205, 202, 204, 203, 204, 204];
