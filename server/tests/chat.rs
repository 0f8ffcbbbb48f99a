//! The chat with a real process behind it. The model's process is this very test binary, called on its
//! test [`model_process`].

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/place.rs"]
mod place;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt};
use place::this_test;
use server::chat::{self, Answer, Answers, Chat, Model, Piece, Source, Unanswered, Weights};
use wire::{ChatDelta, ChatMessage, ChatRequest, ChatStatus, Sampling};

const PATIENCE: Duration = Duration::from_secs(20);

/// Repeats what was said, a word of each answer at a time; writes into its model folder how far it came with one that
/// was broken off.
struct Parrot {
    folder: PathBuf,
}

#[derive(Default)]
struct Talks {
    folder: PathBuf,
    running: BTreeMap<u64, Talk>,
    begun: u64,
}

struct Talk {
    said: String,
    count: usize,
    limit: usize,
}

impl Model for Parrot {
    fn answers(&mut self) -> Box<dyn Answers + '_> {
        Box::new(Talks { folder: self.folder.clone(), ..Talks::default() })
    }
}

impl Answers for Talks {
    fn begin(&mut self, messages: &[ChatMessage], sampling: &Sampling) -> Result<u64, Unanswered> {
        let said = messages.last().unwrap().content.clone();
        match said.as_str() {
            "fail" => return Err(Unanswered { message: "no idea".to_owned(), is_full: false }),
            "too much" => return Err(Unanswered { message: "no room".to_owned(), is_full: true }),
            "die" => {
                eprintln!("error: out of luck");
                std::process::exit(9);
            }
            _ => {}
        }
        self.begun += 1;
        self.running.insert(self.begun, Talk { said, count: 0, limit: sampling.max_new_tokens });
        Ok(self.begun)
    }

    fn step(&mut self) -> Result<Vec<(u64, Piece)>, Unanswered> {
        std::thread::sleep(Duration::from_millis(2));
        let mut pieces = Vec::new();
        for (id, talk) in &mut self.running {
            if talk.said == "break down" {
                return Err(Unanswered { message: "no power".to_owned(), is_full: false });
            }
            let words: Vec<&str> = talk.said.split_inclusive(' ').collect();
            pieces.push((*id, Piece::Text(words[talk.count % words.len()].to_owned())));
            talk.count += 1;
            if talk.count == talk.limit {
                pieces.push((
                    *id,
                    Piece::Done(Ok(Answer {
                        prompt_tokens: 3,
                        completion_tokens: talk.count as u64,
                        finish_reason: "length".to_owned(),
                        context: 8,
                    })),
                ));
            }
        }
        self.running.retain(|_, talk| talk.count < talk.limit);
        Ok(pieces)
    }

    fn cancel(&mut self, id: u64) {
        let talk = self.running.remove(&id).unwrap();
        fs::write(self.folder.join("broken-off"), talk.count.to_string()).unwrap();
    }
}

/// Not a test but the model's process: does nothing unless it was called with `serve-model`.
#[test]
fn model_process() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|arg| arg == name).map(|at| PathBuf::from(&args[at + 1]));
    let (Some(socket), Some(folder)) = (value("--socket"), value("--model")) else { return };
    chat::end_with_parent(&socket).unwrap();
    if !folder.exists() {
        eprintln!("error: {} does not exist", folder.display());
        std::process::exit(1);
    }
    fs::write(folder.join("pid"), std::process::id().to_string()).unwrap();
    if let Some(cache) = value("--cache") {
        fs::write(folder.join("cache"), cache.as_os_str().as_encoded_bytes()).unwrap();
    }
    if folder.join("slow").exists() {
        std::thread::sleep(10 * PATIENCE);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(chat::serve(Parrot { folder }, &socket)).unwrap();
}

fn new_chat() -> Arc<Chat> {
    Chat::new(this_test("model_process"))
}

fn source(folder: &Path) -> Source {
    Source {
        target: "model:parrot".to_owned(),
        label: "parrot".to_owned(),
        run: Some("r".to_owned()),
        weights: Weights { model: folder.to_owned(), ..Weights::default() },
    }
}

fn say(text: &str, max_new_tokens: usize) -> ChatRequest {
    let message = ChatMessage { role: "user".to_owned(), content: text.to_owned() };
    ChatRequest { messages: vec![message], sampling: Sampling { max_new_tokens, ..Sampling::default() } }
}

async fn until(what: &str, found: impl Fn() -> bool) {
    place::until(what, PATIENCE, async || found().then_some(())).await;
}

async fn ready(chat: &Arc<Chat>, folder: &Path) {
    chat.load(source(folder)).unwrap();
    until("the model is ready", || matches!(chat.status(), ChatStatus::Ready { .. })).await;
}

#[tokio::test]
async fn answers_come_in_pieces_and_with_their_counts() {
    let folder = tempfile::tempdir().unwrap();
    let chat = new_chat();
    assert!(chat.answer(&say("a", 1)).await.is_err());
    ready(&chat, folder.path()).await;
    let deltas: Vec<ChatDelta> = chat.answer(&say("wick & wäx ", 5)).await.unwrap().collect().await;
    let text: String = deltas
        .iter()
        .filter_map(|delta| match delta {
            ChatDelta::Text { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(text, "wick & wäx wick & ");
    let Some(ChatDelta::Done { prompt_tokens: 3, completion_tokens: 5, context: 8, finish_reason, .. }) =
        deltas.last()
    else {
        panic!("{deltas:?}")
    };
    assert_eq!(finish_reason, "length");
    let failed: Vec<ChatDelta> = chat.answer(&say("fail", 5)).await.unwrap().collect().await;
    assert!(matches!(&failed[..], [ChatDelta::Error { message }] if message == "no idea"));
    let full: Vec<ChatDelta> = chat.answer(&say("too much", 5)).await.unwrap().collect().await;
    assert!(matches!(&full[..], [ChatDelta::Full { message }] if message == "no room"));
}

#[tokio::test]
async fn whoever_leaves_ends_the_generation() {
    let folder = tempfile::tempdir().unwrap();
    let chat = new_chat();
    ready(&chat, folder.path()).await;
    let mut deltas = Box::pin(chat.answer(&say("on and ", 100_000)).await.unwrap());
    assert!(matches!(deltas.next().await, Some(ChatDelta::Text { .. })));
    drop(deltas);
    until("the generation ends", || folder.path().join("broken-off").exists()).await;
    // And the next one is answered.
    assert!(chat.answer(&say("a", 1)).await.unwrap().count().await > 0);
}

/// The next piece of text.
async fn word(deltas: &mut (impl Stream<Item = ChatDelta> + Unpin)) -> String {
    match deltas.next().await {
        Some(ChatDelta::Text { text }) => text,
        other => panic!("{other:?} is no text"),
    }
}

#[tokio::test]
async fn the_process_is_told_how_much_memory_its_cache_may_take() {
    let dir = tempfile::tempdir().unwrap();
    let told = || fs::read_to_string(dir.path().join("cache")).ok();
    for (cache, wanted) in [(None, None), (Some(7), Some("7"))] {
        let chat = Chat::in_folders(this_test("model_process"), vec![std::env::temp_dir()], cache);
        ready(&chat, dir.path()).await;
        assert_eq!(told().as_deref(), wanted);
    }
}

#[tokio::test]
async fn answers_are_written_at_the_same_time_and_one_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let chat = new_chat();
    ready(&chat, folder.path()).await;
    let mut long = Box::pin(chat.answer(&say("on and ", 100_000)).await.unwrap());
    assert_eq!(word(&mut long).await, "on ");
    // One comes while the other is being written, is read by turns with it, and is complete before it.
    let mut short = Box::pin(chat.answer(&say("a b c ", 3)).await.unwrap());
    for expected in ["a ", "b ", "c "] {
        assert_eq!(word(&mut short).await, expected);
        assert!(["on ", "and "].contains(&&*word(&mut long).await));
    }
    assert!(matches!(short.next().await, Some(ChatDelta::Done { completion_tokens: 3, .. })));
    // A third stays when the first leaves.
    let mut third = Box::pin(chat.answer(&say("x ", 300)).await.unwrap());
    word(&mut third).await;
    drop(long);
    until("the first one is let go", || folder.path().join("broken-off").exists()).await;
    let rest: Vec<ChatDelta> = third.collect().await;
    assert!(matches!(rest.last(), Some(ChatDelta::Done { completion_tokens: 300, .. })), "{:?}", rest.last());
}

#[tokio::test]
async fn a_model_that_breaks_down_tells_all_and_goes_on_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let chat = new_chat();
    ready(&chat, folder.path()).await;
    let long = chat.answer(&say("on and ", 100_000)).await.unwrap();
    let broken = chat.answer(&say("break down", 5)).await.unwrap();
    for answer in [long.collect::<Vec<_>>().await, broken.collect().await] {
        assert!(matches!(answer.last(), Some(ChatDelta::Error { message }) if message == "no power"));
    }
    assert!(chat.answer(&say("a", 1)).await.unwrap().count().await > 0);
}

#[tokio::test]
async fn unloading_ends_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let chat = new_chat();
    ready(&chat, folder.path()).await;
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    chat.unload_run("another");
    assert!(matches!(chat.status(), ChatStatus::Ready { .. }));
    chat.unload_run("r");
    assert_eq!(chat.status(), ChatStatus::Unloaded);
    until("the process is gone", || !Path::new(&format!("/proc/{pid}")).exists()).await;
}

#[tokio::test]
async fn a_model_that_is_still_loading_can_be_given_up() {
    let (slow, quick) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(slow.path().join("slow"), "").unwrap();
    let chat = new_chat();
    chat.load(source(slow.path())).unwrap();
    let pid = || fs::read_to_string(slow.path().join("pid")).unwrap_or_default();
    until("the process loads", || !pid().is_empty()).await;
    assert!(matches!(chat.status(), ChatStatus::Loading { .. }));
    chat.unload();
    assert_eq!(chat.status(), ChatStatus::Unloaded);
    until("the process is gone", || !Path::new(&format!("/proc/{}", pid())).exists()).await;
    ready(&chat, quick.path()).await;
}

#[tokio::test]
async fn a_process_that_dies_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let chat = new_chat();
    chat.load(source(&folder.path().join("absent"))).unwrap();
    until("the loading fails", || matches!(chat.status(), ChatStatus::Failed { .. })).await;
    assert!(matches!(chat.status(), ChatStatus::Failed { reason, .. } if reason.ends_with("does not exist")));

    ready(&chat, folder.path()).await;
    // It may die before or after its answer has begun.
    if let Ok(deltas) = chat.answer(&say("die", 5)).await {
        let last = deltas.collect::<Vec<_>>().await.pop();
        assert!(matches!(last, Some(ChatDelta::Error { .. })), "{last:?}");
    }
    until("the death is noticed", || matches!(chat.status(), ChatStatus::Failed { .. })).await;
    assert!(matches!(chat.status(), ChatStatus::Failed { reason, .. } if reason == "out of luck"));
}

#[tokio::test]
async fn senseless_requests_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let chat = new_chat();
    ready(&chat, folder.path()).await;
    let refused = async |request: ChatRequest| match chat.answer(&request).await {
        Err(e) => e.to_string(),
        Ok(_) => panic!("{request:?} was accepted"),
    };
    assert!(refused(ChatRequest { messages: Vec::new(), ..say("", 1) }).await.contains("messages"));
    assert!(refused(say("a", 0)).await.contains("max_tokens"));
    let mut odd = say("a", 1);
    odd.sampling.top_p = 1.5;
    assert!(refused(odd).await.contains("top_p"));
    let mut stranger = say("a", 1);
    stranger.messages[0].role = "oracle".to_owned();
    assert!(refused(stranger).await.contains("oracle"));
}

#[tokio::test]
async fn a_process_that_stands_still_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let chat = new_chat();
    ready(&chat, dir.path()).await;
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
    let signal = |name: &str| {
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-STOP");
    let asked = Instant::now();
    let refused = chat.answer(&say("hello", 3)).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("stands still") && asked.elapsed() < Duration::from_secs(8), "{refused}");
    assert!(matches!(chat.status(), ChatStatus::Failed { reason, .. } if reason.contains("stands still")));
    signal("-CONT");
    until("it is back", || matches!(chat.status(), ChatStatus::Ready { .. })).await;
    let deltas: Vec<ChatDelta> = chat.answer(&say("hello", 3)).await.unwrap().collect().await;
    assert!(matches!(deltas.last(), Some(ChatDelta::Done { completion_tokens: 3, .. })), "{deltas:?}");
}
