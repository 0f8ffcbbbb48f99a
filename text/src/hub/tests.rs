//! Both hubs, against a server in the test that speaks their protocols.

#[path = "../../../engine/tests/common/hub_server.rs"]
mod hub_server;

mod catalogs;

use std::path::Path;

use sha2::{Digest, Sha256};

use self::hub_server::{Answer, Server, ok, with_etag};
use super::*;

fn status(status: u16, body: &str) -> Answer {
    Answer { status, ..ok(body) }
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const LIST: &str = "/api/models/owner/model/revision/main?blobs=true";

fn file(path: &str) -> String {
    format!("/owner/model/resolve/{COMMIT}/{path}")
}

fn weights() -> Vec<u8> {
    (0..300_000u32).map(|n| (n % 251) as u8).collect()
}

/// A list of a model's files with SHA-256 and size of its weights.
fn list(weights: &[u8]) -> Answer {
    let (hash, size) = (hex(&Sha256::digest(weights)), weights.len());
    ok(format!(
        r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "config.json"}}, {{"rfilename": "README.md"}}, {{"rfilename": "../evil.json"}},
            {{"rfilename": "model.safetensors", "size": {size}, "lfs": {{"sha256": "{hash}", "size": {size}}}}}]}}"#
    ))
}

/// A hub with one model, whose weights are answered with `answer`.
fn serving(weights: &[u8], answer: Answer) -> Server {
    Server::start(vec![
        (LIST.into(), list(weights)),
        (file("config.json"), with_etag(ok("{}"), "abc")),
        (file("model.safetensors"), answer),
    ])
}

fn fetch(server: &Server, cache: &Path) -> Result<PathBuf> {
    HuggingFace::new(&server.endpoint, cache, Some("secret"), None).model("owner/model", None, &mut quietly)
}

#[test]
fn a_model_lies_in_the_standard_layout_and_is_fetched_once() {
    let weights = weights();
    let server = Server::start(vec![
        (LIST.into(), list(&weights)),
        (file("config.json"), with_etag(ok("{}"), "abc123")),
        (file("model.safetensors"), ok(weights.clone())),
    ]);
    let cache = tempfile::tempdir().expect("a temporary folder");
    let mut seen = Vec::new();
    let hub = HuggingFace::new(&server.endpoint, cache.path(), Some("secret"), None);
    let folder = hub
        .model("owner/model", None, &mut |progress| {
            seen.push((progress.file.to_owned(), progress.done));
            ControlFlow::Continue(())
        })
        .expect("the model");
    let repository = cache.path().join("models--owner--model");
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    assert_eq!(std::fs::read_to_string(repository.join("refs/main")).expect("the reference"), COMMIT);
    assert_eq!(std::fs::read_to_string(repository.join("blobs/abc123")).expect("a blob"), "{}");
    assert_eq!(std::fs::read(folder.join("model.safetensors")).expect("the weights"), weights);
    assert!(!folder.join("README.md").exists() && !cache.path().join("evil.json").exists());
    #[cfg(unix)]
    {
        let link = std::fs::read_link(folder.join("config.json")).expect("a link");
        assert_eq!(link, Path::new("../../blobs/abc123"));
    }
    assert!(
        seen.contains(&("owner/model/model.safetensors".into(), weights.len() as u64)),
        "{:?}",
        seen.last()
    );
    assert_eq!(
        server.asked("authorization: Bearer secret").max(server.asked("Authorization: Bearer secret")),
        4
    );
    let before = server.asked("resolve");
    fetch(&server, cache.path()).expect("the model again");
    assert_eq!(server.asked("resolve"), before, "nothing is fetched twice");
}

#[test]
fn a_recipes_token_goes_before_that_of_the_environment() {
    let weights = weights();
    let server = serving(&weights, ok(weights.clone()));
    let cache = tempfile::tempdir().expect("a temporary folder");
    let hub = HuggingFace::new(&server.endpoint, cache.path(), Some("secret"), None).with_token("given");
    hub.model("owner/model", None, &mut quietly).expect("the model");
    let asked = |token: &str| server.asked(&format!("uthorization: Bearer {token}"));
    assert!(asked("given") > 0 && asked("secret") == 0);
}

#[test]
fn a_cut_connection_is_gone_on_with() {
    let weights = weights();
    let server = serving(&weights, Answer { cut: Some(100_000), ..ok(weights.clone()) });
    let cache = tempfile::tempdir().expect("a temporary folder");
    let folder = fetch(&server, cache.path()).expect("the model");
    assert_eq!(std::fs::read(folder.join("model.safetensors")).expect("the weights"), weights);
    let ranges = server.asked("bytes=100000-");
    assert_eq!(ranges, 1, "{:?}", server.requests());
}

#[test]
fn what_an_earlier_process_left_is_gone_on_with() {
    let weights = weights();
    let server = serving(&weights, ok(weights.clone()));
    let cache = tempfile::tempdir().expect("a temporary folder");
    let blobs = cache.path().join("models--owner--model/blobs");
    std::fs::create_dir_all(&blobs).expect("a folder");
    let partial = blobs.join(format!("{}.incomplete", hex(&Sha256::digest(&weights))));
    std::fs::write(&partial, &weights[..123_456]).expect("half a file");
    let folder = fetch(&server, cache.path()).expect("the model");
    assert_eq!(std::fs::read(folder.join("model.safetensors")).expect("the weights"), weights);
    assert_eq!(server.asked("bytes=123456-"), 1);
    assert!(!partial.exists());
}

#[test]
fn a_download_that_is_broken_off_is_gone_on_with() {
    let weights = weights();
    let server = serving(&weights, ok(weights.clone()));
    let cache = tempfile::tempdir().expect("a temporary folder");
    let hub = HuggingFace::new(&server.endpoint, cache.path(), None, None);
    let stopped = hub.model("owner/model", None, &mut |progress| match progress.done {
        100_000.. => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    let folder = fetch(&server, cache.path()).expect("the model");
    assert_eq!(std::fs::read(folder.join("model.safetensors")).expect("the weights"), weights);
    let from_the_start =
        |request: &String| request.contains("model.safetensors") && !request.contains("ytes=");
    assert_eq!(server.requests().iter().filter(|request| from_the_start(request)).count(), 1);
}

#[test]
fn a_connection_that_falls_silent_is_given_up_and_gone_on_with() {
    let weights = weights();
    let server = serving(&weights, Answer { cut: Some(100_000), silent: true, ..ok(weights.clone()) });
    let cache = tempfile::tempdir().expect("a temporary folder");
    let hub = HuggingFace::new(&server.endpoint, cache.path(), None, None);
    let hub = hub.with_silence(Duration::from_millis(300));
    let folder = hub.model("owner/model", None, &mut quietly).expect("the model");
    assert_eq!(std::fs::read(folder.join("model.safetensors")).expect("the weights"), weights);
    assert_eq!(server.asked("bytes=100000-"), 1);
}

#[test]
fn a_download_that_waits_can_be_broken_off() {
    let weights = weights();
    let server = serving(&weights, Answer { cut: Some(100_000), silent: true, ..ok(weights.clone()) });
    let cache = tempfile::tempdir().expect("a temporary folder");
    let hub = HuggingFace::new(&server.endpoint, cache.path(), None, None);
    let (start, mut asked) = (Instant::now(), 0);
    let stopped = hub.model("owner/model", None, &mut |progress| {
        asked += u32::from(progress.done == 100_000);
        if asked > 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn what_is_left_of_other_contents_is_no_part_of_a_file() {
    let weights = weights();
    let server = serving(&weights, ok(weights.clone()));
    let cache = tempfile::tempdir().expect("a temporary folder");
    let blobs = cache.path().join("models--owner--model/blobs");
    std::fs::create_dir_all(&blobs).expect("a folder");
    let partial = blobs.join(format!("{}.incomplete", hex(&Sha256::digest(&weights))));
    std::fs::write(partial, [7; 1000]).expect("another file's start");
    let folder = fetch(&server, cache.path()).expect("the model");
    assert_eq!(std::fs::read(folder.join("model.safetensors")).expect("the weights"), weights);
}

#[test]
fn wrong_contents_are_refused_and_not_kept() {
    let weights = weights();
    let mut other = weights.clone();
    other[5] ^= 1;
    for (body, expected) in [(other, "should have"), (weights[..1000].to_vec(), "bytes came, but")] {
        let server = serving(&weights, ok(body));
        let cache = tempfile::tempdir().expect("a temporary folder");
        let message = fetch(&server, cache.path()).expect_err("wrong contents").to_string();
        assert!(message.contains("owner/model/model.safetensors") && message.contains(expected), "{message}");
        assert!(
            !cache
                .path()
                .join(format!("models--owner--model/blobs/{}", hex(&Sha256::digest(&weights))))
                .exists()
        );
    }
}

#[test]
fn refusals_say_what_to_do() {
    for (code, body, expected) in [
        (401, r#"{"error": "Access to model owner/model is restricted."}"#, ["is restricted", "HF_TOKEN"]),
        (403, "", ["model owner/model", "HF_TOKEN"]),
        (404, "", ["does not exist", "check the name"]),
        (418, "", ["418", "unexpected answer"]),
    ] {
        let server = Server::start(vec![(LIST.to_owned(), status(code, body))]);
        let cache = tempfile::tempdir().expect("a temporary folder");
        let message = fetch(&server, cache.path()).expect_err("refused").to_string();
        assert!(
            expected.iter().all(|part| message.contains(part)) && !message.contains('\n'),
            "{code}: {message}"
        );
        assert_eq!(server.asked("GET"), 1, "{code} is not tried again");
    }
}

#[test]
fn without_a_network_the_cache_serves() {
    let weights = weights();
    let cache = tempfile::tempdir().expect("a temporary folder");
    let offline = HuggingFace::new("http://127.0.0.1:1", cache.path(), None, Some("HF_HUB_OFFLINE"));
    let message = offline.model("owner/model", None, &mut quietly).expect_err("not there").to_string();
    assert!(
        message.contains("model owner/model is not on this machine") && message.contains("HF_HUB_OFFLINE"),
        "{message}"
    );
    let server = serving(&weights, ok(weights.clone()));
    let folder = fetch(&server, cache.path()).expect("the model");
    assert_eq!(offline.model("owner/model", None, &mut quietly).ok(), Some(folder.clone()));
    // Nobody listens on port 1: the network is down, and what is there is used.
    let down = HuggingFace::new("http://127.0.0.1:1", cache.path(), None, None);
    assert_eq!(down.model("owner/model", None, &mut quietly).ok(), Some(folder));
}

#[test]
fn a_data_set_of_a_script_comes_from_its_converted_branch() {
    let list = |files: &str| ok(format!(r#"{{"sha": "{COMMIT}", "siblings": [{files}]}}"#));
    let path = "default/train/0000.parquet";
    let server = Server::start(vec![
        ("/api/datasets/owner/data/revision/main?blobs=true", list(r#"{"rfilename": "data.py"}"#)),
        (
            "/api/datasets/owner/data/revision/refs%2Fconvert%2Fparquet?blobs=true",
            list(&format!(r#"{{"rfilename": "{path}"}}"#)),
        ),
        (&format!("/datasets/owner/data/resolve/{COMMIT}/{path}"), with_etag(ok("rows"), "e7a6")),
    ]);
    let cache = tempfile::tempdir().expect("a temporary folder");
    let hub = HuggingFace::new(&server.endpoint, cache.path(), None, None);
    let files =
        hub.listing("owner/data", &HubSource::default(), "train").and_then(|list| list.all(&mut quietly));
    let files = files.expect("the files");
    let folder = cache.path().join("datasets--owner--data");
    assert_eq!(files, [folder.join("snapshots").join(COMMIT).join(path)]);
    assert_eq!(
        std::fs::read_to_string(folder.join("refs/refs/convert/parquet")).expect("the reference"),
        COMMIT
    );
}

#[test]
fn model_scope_speaks_its_own_protocol() {
    let weights = weights();
    let (hash, size) = (hex(&Sha256::digest(&weights)), weights.len());
    let files = format!(
        r#"{{"Code": 200, "Data": {{"Files": [
            {{"Name": "config.json", "Path": "config.json", "Size": 2, "Type": "blob"}},
            {{"Name": "sub", "Path": "sub", "Size": 0, "Type": "tree"}},
            {{"Name": "model.safetensors", "Path": "model.safetensors", "Size": {size}, "Sha256": "{hash}", "Type": "blob"}}]}}}}"#
    );
    let file = |path: &str| format!("/api/v1/models/owner/model.x/repo?Revision=master&FilePath={path}");
    let server = Server::start(vec![
        ("/api/v1/models/owner/model.x/repo/files?Revision=master&Recursive=True".to_owned(), ok(files)),
        (file("config.json"), ok("{}")),
        (file("model.safetensors"), Answer { cut: Some(70_000), ..ok(weights.clone()) }),
        ("/api/v1/datasets/owner/data".into(), ok(r#"{"Code": 200, "Data": {"Id": 77}}"#)),
        (
            "/api/v1/datasets/77/repo/tree?Revision=master&Root=%2F&Recursive=True&PageNumber=1&PageSize=100"
                .into(),
            ok(r#"{"Code": 200, "Data": {"Files": [{"Path": "train.jsonl", "Size": 3, "Type": "blob"}]}}"#),
        ),
        (
            "/api/v1/datasets/owner/data/repo?Source=SDK&Revision=master&FilePath=train.jsonl".into(),
            ok("{}\n"),
        ),
    ]);
    let cache = tempfile::tempdir().expect("a temporary folder");
    let hub = ModelScope::new(&server.endpoint, cache.path(), Some("secret"), None);
    let folder = hub.model("owner/model.x", None, &mut quietly).expect("the model");
    assert_eq!(folder, cache.path().join("models/owner/model___x"));
    assert_eq!(std::fs::read(folder.join("model.safetensors")).expect("the weights"), weights);
    assert_eq!(server.asked("bytes=70000-"), 1);
    assert!(server.asked("m_session_id=secret") > 0);
    let rows = |hub: &ModelScope| {
        hub.listing("owner/data", &HubSource::default(), "train").and_then(|list| list.all(&mut quietly))
    };
    let files = rows(&hub).expect("the files");
    assert_eq!(files, [cache.path().join("datasets/owner/data/train.jsonl")]);
    let offline = ModelScope::new("http://127.0.0.1:1", cache.path(), None, Some("HF_HUB_OFFLINE"));
    assert_eq!(rows(&offline).ok(), Some(files));
    let missing = hub.model("owner/none", None, &mut quietly).expect_err("not there").to_string();
    assert!(missing.contains("model owner/none does not exist on ModelScope"), "{missing}");
}

/// ModelScope's cache has one place for a file, whatever its revision.
#[test]
fn another_revision_of_a_model_is_not_taken_for_the_same() {
    let model = |revision: &str, weights: &str, hashed: bool| {
        let hash = hex(&Sha256::digest(weights));
        let hash = if hashed { format!(r#", "Sha256": "{hash}""#) } else { String::new() };
        let list = format!(
            r#"{{"Data": {{"Files": [{{"Path": "config.json", "Size": 2}},
                {{"Path": "model.safetensors", "Size": {}{hash}}}]}}}}"#,
            weights.len()
        );
        let base = "/api/v1/models/owner/model/repo";
        [
            (format!("{base}/files?Revision={revision}&Recursive=True"), ok(list)),
            (format!("{base}?Revision={revision}&FilePath=config.json"), ok("{}")),
            (format!("{base}?Revision={revision}&FilePath=model.safetensors"), ok(weights)),
        ]
    };
    for hashed in [true, false] {
        let server = Server::start([model("master", "first", hashed), model("v2", "other", hashed)].concat());
        let cache = tempfile::tempdir().expect("a temporary folder");
        let hub = ModelScope::new(&server.endpoint, cache.path(), None, None);
        let weights = |revision: Option<&str>| {
            let folder = hub.model("owner/model", revision, &mut quietly).expect("the model");
            std::fs::read_to_string(folder.join("model.safetensors")).expect("the weights")
        };
        assert_eq!([weights(None), weights(Some("main"))], ["first", "first"]);
        assert_eq!(server.asked("FilePath=model.safetensors"), 1, "nothing is fetched twice");
        let offline = ModelScope::new("http://127.0.0.1:1", cache.path(), None, Some("HF_HUB_OFFLINE"));
        assert!(offline.model("owner/model", Some("main"), &mut quietly).is_ok());
        let message = offline.model("owner/model", Some("v2"), &mut quietly).expect_err("not there");
        assert!(message.to_string().contains("model owner/model at revision v2 is not on"), "{message}");
        assert_eq!([weights(Some("v2")), weights(None)], ["other", "first"]);
        assert_eq!(server.asked("FilePath=model.safetensors"), 3);
        // The hub's own tool puts another file there.
        std::fs::write(cache.path().join("models/owner/model/model.safetensors"), "wrong").expect("a file");
        assert_eq!(weights(None), "first");
    }
}

#[test]
fn names_of_repositories() {
    for good in ["gpt2", "Qwen/Qwen2.5-0.5B", "a_b/c-d"] {
        assert!(is_repository_id(good), "{good}");
    }
    for bad in ["", "/a", "a/", "a/b/c", "../a", "a/..", ".a/b", "a b/c", "https://x/y"] {
        assert!(!is_repository_id(bad), "{bad}");
    }
}
