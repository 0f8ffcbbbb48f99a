//! Runs and chats with a model that is on a hub alone, with real workers; the hub is a server in the test.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../engine/tests/common/hub_server.rs"]
mod hub_server;
#[path = "common/place.rs"]
mod place;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use hub_server::Server;
use place::{Place, until};
use recipe::{Event, EventBody, Lang, Phase, RunState};
use server::{
    board::ServerBoard,
    chat::Chat,
    command::WorkerCommand,
    pool::Pool,
    store::RunRow,
    worker::{EVENTS_FILE, RECIPE_FILE},
};
use wire::{BoardApi, ChatStatus};

const PATIENCE: Duration = Duration::from_secs(120);
const ID: &str = "owner/wick-1.0";
const ROWS: &str =
    r#"[{"instruction": "Hi", "output": "Hello"}, {"instruction": "Bye", "output": "See you"}]"#;

struct Board {
    board: ServerBoard,
    pool: Pool,
    _place: Place,
}

impl Board {
    /// A board with one data set and no model, whose workers ask the hub at `endpoint`.
    async fn new(endpoint: &str, more: &[&str]) -> Board {
        let place = Place::new();
        place.write("data/two.json", ROWS);
        place.write("data/dataset_info.json", r#"{"two": {"file_name": "two.json"}}"#);
        let home = place.root().join("home").display().to_string();
        let mut args = vec![format!("HF_ENDPOINT={endpoint}"), format!("HF_HOME={home}")];
        args.push(format!("CHANDLER_CACHE={home}"));
        args.extend(more.iter().map(|text| (*text).to_owned()));
        args.push(env!("CARGO_BIN_EXE_chandler").to_owned());
        let args = args.into_iter().map(Into::into).collect();
        let worker = WorkerCommand { program: PathBuf::from("/usr/bin/env"), args };

        let pool = place.pool(worker.clone(), false).await;
        let board = place.board(&pool, &Chat::new(worker));
        Board { board, pool, _place: place }
    }

    /// Launches a run of two steps, with `more` lines of YAML, and waits for its end.
    async fn run(&self, more: &str) -> RunRow {
        let yaml = format!(
            "model_name_or_path: {ID}\nstage: sft\ndo_train: true\nfinetuning_type: lora\ntemplate: chatml\n\
             dataset: two\nmax_steps: 2\nlogging_steps: 1\noutput_dir: output\n{more}"
        );
        let id = self.board.launch(String::new(), yaml, Lang::En).await.unwrap();
        let over = async || Some(self.pool.store().run(&id).await.unwrap()).filter(|run| run.state.is_over());
        until("the run is over", PATIENCE, over).await
    }

    /// Loads a chat and waits for what comes of it.
    async fn load(&self, target: &str) -> ChatStatus {
        self.board.load_chat(target.to_owned(), None).await.unwrap();
        let settled = async || {
            let status = self.board.chat_status().await.unwrap();
            (!matches!(status, ChatStatus::Loading { .. })).then_some(status)
        };
        until("the chat is loaded", PATIENCE, settled).await
    }

    fn events(&self, id: &str) -> Vec<EventBody> {
        let text = fs::read_to_string(self.pool.run_dir(id).join(EVENTS_FILE)).unwrap();
        text.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().body).collect()
    }
}

fn wick() -> Vec<(&'static str, Vec<u8>)> {
    let folder = place::wick();
    let names = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
    names.iter().map(|name| (*name, fs::read(folder.join(name)).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_on_a_hub_is_trained_and_talked_to() {
    let hub = Arc::new(Server::start(hub_server::repository("", ID, &wick())));
    let board = Board::new(&hub.endpoint, &[]).await;
    let run = board.run("tokenized_path: encoded\n").await;
    assert_eq!(run.state, RunState::Finished, "{:?}", run.reason);
    assert_eq!((run.model.as_str(), run.step), ("wick-1.0", 2));
    let download = format!("{ID}/model.safetensors: 0.0 of 2.1 MB");
    let events = board.events(&run.id);
    assert!(
        events.contains(&EventBody::Phase { phase: Phase::Downloading, detail: Some(download) }),
        "{events:?}"
    );
    let asked = hub.asked("/resolve/");

    // The adapter stands on the hub's model, which is here by now.
    for target in [format!("run:{}:", run.id), format!("hub:{ID}")] {
        let status = board.load(&target).await;
        assert!(matches!(status, ChatStatus::Ready { .. }), "{target}: {status:?}");
    }
    assert_eq!(hub.asked("/resolve/"), asked, "nothing is fetched twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_may_come_from_model_scope() {
    let hub = Server::start(hub_server::model_scope(ID, &wick()));
    let domain = format!("MODELSCOPE_DOMAIN={}", hub.endpoint);
    let cache = tempfile::tempdir().unwrap();
    let home = format!("MODELSCOPE_CACHE={}", cache.path().display());
    let board = Board::new("http://127.0.0.1:1", &["USE_MODELSCOPE_HUB=1", &domain, &home]).await;
    let run = board.run("").await;
    assert_eq!((run.state, run.step), (RunState::Finished, 2), "{:?}", run.reason);
    for target in [format!("run:{}:", run.id), format!("hub:{ID}")] {
        let status = board.load(&target).await;
        assert!(matches!(status, ChatStatus::Ready { .. }), "{target}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_their_catalog_may_be_on_a_hub() {
    let mut answers = hub_server::repository("", ID, &wick());
    let info = br#"{"two": {"hf_hub_url": "owner/two"}}"#.to_vec();
    answers.extend(hub_server::repository("datasets/", "owner/sets", &[("dataset_info.json", info)]));
    answers.extend(hub_server::repository("datasets/", "owner/two", &[("two.json", ROWS.into())]));
    let hub = Server::start(answers);
    let board = Board::new(&hub.endpoint, &[]).await;
    let run = board.run("dataset_dir: REMOTE:owner/sets\n").await;
    assert_eq!((run.state, run.step), (RunState::Finished, 2), "{:?}", run.reason);
    let events = board.events(&run.id);
    let downloads = |event: &EventBody| match event {
        EventBody::Phase { phase: Phase::Downloading, detail } => {
            detail.as_deref().is_some_and(|detail| detail.starts_with("owner/two/two.json: "))
        }
        _ => false,
    };
    assert!(events.iter().any(downloads), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipes_token_asks_the_hub_and_is_shown_nowhere() {
    const TOKEN: &str = "hf_0123456789";
    let mut answers = hub_server::repository("", ID, &wick());
    let info = br#"{"two": {"hf_hub_url": "owner/two"}}"#.to_vec();
    answers.extend(hub_server::repository("datasets/", "owner/sets", &[("dataset_info.json", info)]));
    answers.extend(hub_server::repository("datasets/", "owner/two", &[("two.json", ROWS.into())]));
    let hub = Server::start(answers);
    let board = Board::new(&hub.endpoint, &[]).await;
    let run = board.run(&format!("dataset_dir: REMOTE:owner/sets\nhub_token: {TOKEN}\n")).await;
    assert_eq!((run.state, run.step), (RunState::Finished, 2), "{:?}", run.reason);
    let status = board.load(&format!("run:{}:", run.id)).await;
    assert!(matches!(status, ChatStatus::Ready { .. }), "{status:?}");
    assert_eq!(hub.asked(&format!("uthorization: Bearer {TOKEN}")), hub.asked(""), "{:?}", hub.requests());

    assert!(!run.recipe.contains(TOKEN), "{}", run.recipe);
    let dir = board.pool.run_dir(&run.id);
    let recipe = dir.join(RECIPE_FILE);
    assert_eq!(fs::metadata(&recipe).unwrap().permissions().mode() & 0o077, 0);
    let mut folders = vec![dir];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path != recipe {
                let contents = fs::read(&path).unwrap();
                let found = contents.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_the_way_out_is_said() {
    for (endpoint, more) in [("http://127.0.0.1:1", vec![]), ("http://127.0.0.1:1", vec!["HF_HUB_OFFLINE=1"])]
    {
        let board = Board::new(endpoint, &more).await;
        let run = board.run("").await;
        let reason = run.reason.unwrap_or_default();
        assert_eq!(run.state, RunState::Failed, "{reason}");
        for part in [ID, "the Hugging Face Hub", "models/"] {
            assert!(reason.contains(part), "{reason}");
        }
        let ChatStatus::Failed { reason, .. } = board.load(&format!("hub:{ID}")).await else {
            panic!("there is no model to load")
        };
        assert!(reason.contains(ID) && reason.contains("models/"), "{reason}");
    }
}
