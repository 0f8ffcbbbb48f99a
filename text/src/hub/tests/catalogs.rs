//! Catalogs of data sets on a hub, and data sets that are fetched a file at a time.

use super::hub_server::{Server, repository};
use super::*;
use crate::data::{Catalog, Kind};

#[test]
fn a_catalog_may_lie_in_a_repository() {
    let info = r#"{"rows": {"hf_hub_url": "owner/rows"}, "file": {"file_name": "rows.json"}}"#;
    let rows = r#"[{"instruction": "Hi", "output": "Hello"}]"#;
    let of = |id: &str, path: &str, text: &str| repository("datasets/", id, &[(path, text.into())]);
    let answers = [
        of("owner/catalog", "dataset_info.json", info),
        of("owner/empty", "README.md", ""),
        of("owner/rows", "rows.json", rows),
    ];
    let server = Server::start(answers.concat());
    let cache = tempfile::tempdir().expect("a temporary folder");
    let hubs = Hubs {
        hugging_face: HuggingFace::new(&server.endpoint, cache.path(), None, None),
        model_scope: ModelScope::new("http://127.0.0.1:1", cache.path(), None, None),
        prefer_model_scope: false,
    };
    let catalog = Catalog::remote("owner/catalog", &hubs).expect("the catalog");
    assert_eq!(catalog.names().collect::<Vec<_>>(), ["rows", "file"]);
    let message = catalog.get("file").expect_err("no folder").to_string();
    assert!(message.contains("\"file_name\" names rows.json"), "{message}");

    let names = ["rows".to_owned()];
    let mut stopped = |_: &Progress<'_>| ControlFlow::Break(());
    assert_eq!(
        catalog.fetch(&names, usize::MAX, &hubs, &mut stopped).expect("no failure"),
        ControlFlow::Break(())
    );
    assert!(catalog.source("rows", Kind::Supervised, &hubs.clone().in_cache()).is_err());
    let fetched = catalog.fetch(&names, usize::MAX, &hubs, &mut quietly).expect("the rows");
    assert_eq!(fetched, ControlFlow::Continue(()));
    let source = catalog.source("rows", Kind::Supervised, &hubs.clone().in_cache()).expect("in the cache");
    assert_eq!(source.rows().count(), 1);

    for (id, part) in [
        ("owner/empty", "owner/empty: holds no dataset_info.json"),
        ("owner/none", "owner/none does not exist"),
        ("../x", "REMOTE:owner/name"),
    ] {
        let message = Catalog::remote(id, &hubs).expect_err("no catalog").to_string();
        assert!(message.starts_with("dataset_dir: ") && message.contains(part), "{message}");
    }
}

#[test]
fn a_stream_fetches_a_file_when_it_reaches_it() {
    let row = |n: usize| format!("{{\"instruction\": \"{n}\", \"output\": \"A\"}}\n").into_bytes();
    let files = [("train-00000-of-00002.jsonl", row(0)), ("train-00001-of-00002.jsonl", row(1))];
    let server = Server::start(repository("datasets/", "owner/rows", &files));
    let cache = tempfile::tempdir().expect("a temporary folder");
    let hubs = Hubs {
        hugging_face: HuggingFace::new(&server.endpoint, cache.path(), None, None),
        model_scope: ModelScope::new("http://127.0.0.1:1", cache.path(), None, None),
        prefer_model_scope: false,
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let info = r#"{"rows": {"hf_hub_url": "owner/rows"}}"#;
    std::fs::write(folder.path().join("dataset_info.json"), info).expect("dataset_info.json");
    let catalog = Catalog::open(folder.path()).expect("the catalog");
    let source = catalog.stream("rows", Kind::Supervised, &hubs).expect("the list of files");
    assert_eq!(server.asked("resolve"), 0);
    let mut rows = source.rows();
    assert!(rows.next().is_some_and(|row| row.is_ok()));
    assert_eq!((server.asked("GET /datasets"), server.asked("00001-of")), (1, 0));
    let message = catalog.look_in("rows", &hubs.clone().in_cache()).expect_err("half of it").to_string();
    assert!(message.contains("only 1 of its 2 files are on this machine"), "{message}");
    assert_eq!(rows.filter(|row| row.is_ok()).count(), 1);
    assert_eq!(source.rows().count(), 2);
    assert_eq!(server.asked("GET /datasets"), 2, "nothing is fetched twice");
}
