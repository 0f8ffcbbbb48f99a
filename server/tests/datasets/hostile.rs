//! Data, models and helpers that would harm who trusts them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use server::{
    command::WorkerCommand,
    config::Folders,
    helper::{Helpers, Request},
};
use wire::{BoardError, DatasetsApi, Encoding};

use crate::{
    place,
    shelf::{ROWS, Shelf, wick, with_model},
};

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

/// Templates and tokenizers that end or fill a process that trusts them: each is an error or harmless, and the next
/// request is answered.
#[tokio::test]
async fn hostile_models_are_errors_that_name_the_model() {
    let shelf = Shelf::new(r#"{"a": {"file_name": "a.jsonl"}}"#, &[("a.jsonl", ROWS)]);
    let models = shelf.models();
    let many = |part: &str, count: usize| part.repeat(count);
    let marked = |source: &str| {
        format!(
            "{{% for m in messages %}}{{% generation %}}{{{{ m.content }}}}{{% endgeneration %}}{{% endfor %}}{source}"
        )
    };
    let template = |source: String| vec![("chat_template.jinja", marked(&source))];
    let doubling = format!("{{% set a = 'aa' %}}{}{{{{ a }}}}", many("{% set a = a ~ a %}", 40));
    let replace = r#"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#;
    let own = fs::read_to_string(place::wick().join("tokenizer.json")).unwrap();
    let tokenizer = |normalizer: &str| {
        let mut whole: serde_json::Value = serde_json::from_str(&own).unwrap();
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
        with_model(models, &files);
        let shown: String = format!("{files:?}").chars().take(120).collect();
        let start = Instant::now();
        let evil = Encoding { model: "evil".into(), template: String::new(), ..wick(1024) };
        let error = shelf.datasets.encode("a".into(), 1, evil).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(20), "{shown}: {:?}", start.elapsed());
        let BoardError::Refused(why) = &error else { panic!("{shown}: {error:?}") };
        assert!(why.contains("evil") && why.len() < 2000, "{shown}: {why}");
    }
    let encoded = shelf.datasets.encode("a".into(), 1, wick(1024)).await.unwrap();
    assert_eq!(encoded.sequences.len(), 1);
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
