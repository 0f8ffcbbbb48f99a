//! The routes over real connections: who is let in, and what watchers get.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use app::api::Frame;
use futures_util::StreamExt;
use recipe::{Eval, Event, EventBody, Point};
use server::{
    board::ServerBoard,
    chat::Chat,
    config::Folders,
    connections::{self, Limits},
    pool::{Pool, PoolConfig, WorkerCommand},
    routes::{AppState, Metrics, router},
    security::{Gate, Hosts},
    site::Site,
    store::{NewRun, Store},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite;

/// What these boards take in.
const LARGEST_UPLOAD: u64 = 3 << 20;
/// How long they wait for a client that sends nothing.
const SLOW: Duration = Duration::from_secs(2);

struct Board {
    address: SocketAddr,
    pool: Pool,
    _dir: tempfile::TempDir,
}

impl Board {
    async fn start(password: Option<&str>) -> Board {
        Board::with(Gate::new(Hosts::new("127.0.0.1", &[]), password)).await
    }

    async fn with(gate: Gate) -> Board {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let folders = Folders {
            models_dir: root.join("models"),
            data_dir: root.join("data"),
            runs_dir: root.join("runs"),
        };
        let folders = folders.prepare().unwrap();
        let store = Store::open(&folders.runs_dir.join("chandler.db")).await.unwrap();
        // No worker is ever started here: the program cannot be.
        let worker = WorkerCommand { program: PathBuf::from("/nonexistent"), args: Vec::new() };
        let config = PoolConfig {
            runs_dir: folders.runs_dir.clone(),
            slots: 1,
            worker: worker.clone(),
            resume_interrupted: false,
        };
        let pool = Pool::start(store, config).await.unwrap();
        let chat = Chat::new(worker);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let site = root.join("site");
        std::fs::create_dir_all(site.join("pkg")).unwrap();
        std::fs::write(site.join("pkg/chandler.css"), "body {}").unwrap();
        let site = Site::open(&site);
        let state = AppState {
            options: site.options(address),
            site: Arc::new(site),
            pool: pool.clone(),
            chat: chat.clone(),
            gate: Arc::new(gate),
            metrics: Metrics::new().unwrap(),
            board: Arc::new(ServerBoard::new(pool.clone(), folders, chat, LARGEST_UPLOAD)),
        };
        let limits = Limits { head: SLOW, body: SLOW, ..Limits::default() };
        tokio::spawn(connections::serve(listener, router(state), limits, std::future::pending()));
        Board { address, pool, _dir: dir }
    }

    /// Status line, headers and body of the answer to a request with these header lines.
    async fn ask(&self, request_line: &str, headers: &[&str], body: &str) -> String {
        let length = format!("Content-Length: {}", body.len());
        self.send(request_line, &[headers, &[&length]].concat(), body).await
    }

    /// The same, where the headers say how long the body is.
    async fn send(&self, request_line: &str, headers: &[&str], body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!("{request_line} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:")) {
            request += &format!("Host: {}\r\n", self.address);
        }
        for header in headers {
            request += &format!("{header}\r\n");
        }
        request += &format!("\r\n{body}");
        // A body that is refused is not read to its end: the answer comes while it is still being sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn status(&self, request_line: &str, headers: &[&str], body: &str) -> u16 {
        let answer = self.ask(request_line, headers, body).await;
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    /// A run whose worker could not be started, with some events in its database.
    async fn run_with_points(&self, id: &str, points: u64) {
        let text = |text: &str| text.to_owned();
        let run = NewRun {
            id: text(id),
            name: text("<script>alert(1)</script>"),
            model: text("wick"),
            dataset: text("demo"),
            stage: text("sft"),
            method: text("lora"),
            template: None,
            recipe: String::new(),
        };
        self.pool.enqueue(&run, "").await.unwrap();
        self.take_in(id, 1..=points).await;
    }

    async fn take_in(&self, id: &str, steps: impl Iterator<Item = u64>) {
        let events: Vec<Event> = steps
            .map(|step| {
                let loss = if step == 777 { 100.0 } else { 1.0 };
                let metrics = recipe::Metrics::from([("loss", loss), ("rewards/chosen", -0.5)]);
                Event {
                    seq: step,
                    time: 0,
                    body: EventBody::Point(Point { step, metrics, ..Point::default() }),
                }
            })
            .collect();
        self.pool.store().ingest(id, events, 0).await.unwrap();
    }

    async fn watch(&self, id: &str, after: u64) -> Watcher {
        let url = format!("ws://{}/ws/runs/{id}?after={after}", self.address);
        Watcher(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }
}

struct Watcher(tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>);

impl Watcher {
    async fn frame(&mut self) -> Frame {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.unwrap();
            if let tungstenite::Message::Text(text) = message.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn backfill(&mut self) -> Vec<Event> {
        match self.frame().await {
            Frame::Backfill { events } => events,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_everywhere() {
    let board = Board::start(None).await;
    let own = format!("Origin: http://{}", board.address);
    for path in ["/", "/runs/x", "/login", "/pkg/chandler.css", "/api/runs", "/ws/runs/x", "/healthz"] {
        let line = format!("GET {path}");
        for foreign in
            ["Host: evil.com", "Origin: http://evil.com", "Origin: null", "Sec-Fetch-Site: cross-site"]
        {
            assert_eq!(board.status(&line, &[foreign], "").await, 403, "{path} {foreign}");
        }
        assert_ne!(board.status(&line, &[&own], "").await, 403, "{path}");
    }
    let followed = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    assert_eq!(board.status("GET /", &followed, "").await, 200, "a link on another site leads here");
    for path in ["/chat/stream", "/login", "/logout", "/api/stop", "/api/launch", "/anything"] {
        let line = format!("POST {path}");
        assert_eq!(board.status(&line, &["Origin: http://evil.com"], "").await, 403, "{path}");
        assert_eq!(board.status(&line, &["Origin: null"], "").await, 403, "{path}");
        assert_ne!(board.status(&line, &[&own], "").await, 403, "{path}");
    }
    let upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Origin: http://evil.com"];
    assert_eq!(board.status("GET /ws/runs/x", &upgrade, "").await, 403);
    assert_eq!(board.status("GET /healthz", &[], "").await, 200);
}

#[tokio::test]
async fn pages_carry_their_safety_headers_and_no_markup_from_users() {
    let board = Board::start(None).await;
    board.run_with_points("r", 3).await;
    let page = board.ask("GET /", &["Accept: text/html"], "").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let lower = page.to_lowercase();
    for header in
        ["x-content-type-options: nosniff", "frame-ancestors 'none'", "referrer-policy: same-origin"]
    {
        assert!(lower.contains(header), "{header} is missing:\n{page}");
    }
    let nonce = page.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    assert!(page.contains(&format!("nonce=\"{nonce}\"")), "the scripts do not carry the policy's nonce");
    assert!(!page.contains("<script>alert(1)"));
    let not_found = board.ask("GET /no/such/page", &["Accept: text/html"], "").await;
    assert!(not_found.starts_with("HTTP/1.1 404"), "{not_found}");
    assert!(not_found.to_lowercase().contains("content-security-policy"));
    for path in [
        "/../chandler.db",
        "/pkg/../../chandler.db",
        "/%2e%2e/chandler.db",
        "/pkg/%2e%2e/%2e%2e/runs/chandler.db",
    ] {
        assert_ne!(board.status(&format!("GET {path}"), &[], "").await, 200, "{path}");
    }
}

/// A stage's own metrics, and those that evaluations alone have, stand beside the loss.
#[tokio::test]
async fn a_run_has_a_tab_for_whatever_it_reports() {
    let board = Board::start(None).await;
    board.run_with_points("r", 3).await;
    let metrics = recipe::Metrics::from([("eval_loss", 1.5), ("eval_accuracy", 0.75)]);
    let eval = EventBody::Eval(Eval { step: 3, dataset: None, epoch: 0.5, metrics });
    board.pool.store().ingest("r", vec![Event { seq: 4, time: 0, body: eval }], 0).await.unwrap();
    let page = board.ask("GET /runs/r", &["Accept: text/html"], "").await;
    let tags = page.split("<button").skip(1).filter_map(|button| button.split('>').next());
    let tabs: Vec<&str> = tags
        .filter(|tag| tag.contains("class=\"tab\""))
        .filter_map(|tag| tag.split_once("data-test=\"chart-")?.1.split('"').next())
        .collect();
    assert_eq!(tabs, ["loss", "rewards/chosen", "accuracy"]);
}

/// The title is written when the page's own signals may be gone, and as it stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_who_look_at_a_run_at_once_get_its_page_and_its_name_as_text() {
    let board = Arc::new(Board::start(None).await);
    board.run_with_points("r", 3).await;
    let readers = (0..8).map(|_| {
        let board = board.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                let page = board.ask("GET /runs/r", &["Accept: text/html"], "").await;
                assert!(page.starts_with("HTTP/1.1 200"), "{}", page.lines().next().unwrap_or_default());
                let title = page.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
                assert_eq!(title, Some("&lt;script>alert(1)&lt;/script> · Chandler"));
                assert!(!page.contains("<script>alert(1)"));
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn a_password_is_asked_of_everyone_for_everything() {
    let board = Board::start(Some("secret")).await;
    board.run_with_points("r", 1).await;
    for path in ["/", "/runs/r", "/api/runs", "/ws/runs/r", "/pkg/chandler.wasm", "/no/such/page"] {
        assert_eq!(board.status(&format!("GET {path}"), &[], "").await, 401, "{path}");
        let answer = board.ask(&format!("GET {path}"), &["Accept: text/html"], "").await;
        assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("location: /login?next="), "{answer}");
    }
    for path in ["/chat/stream", "/api/launch", "/api/stop"] {
        assert_eq!(board.status(&format!("POST {path}"), &[], "").await, 401, "{path}");
    }
    for path in ["/login", "/healthz", "/pkg/chandler.css"] {
        assert_eq!(board.status(&format!("GET {path}"), &[], "").await, 200, "{path}");
    }
    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(board.status("POST /login", &[form], "password=guess&next=/").await, 401);
    let answer = board.ask("POST /login", &[form], "password=secret&next=/runs/r").await;
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("location: /runs/r"), "{answer}");
    let cookie = answer.split("set-cookie: ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    let cookie = format!("Cookie: {cookie}");
    assert_eq!(board.status("GET /runs/r", &[&cookie], "").await, 200);
    assert_eq!(board.status("POST /logout", &[&cookie], "").await, 303);
    assert_eq!(board.status("GET /runs/r", &[&cookie], "").await, 401);
}

/// What a proxy shows at `https://board.example:8443/chandler/`, whether it takes the folder off or not.
#[tokio::test]
async fn a_board_in_a_folder_of_a_site_stays_in_it() {
    let public = "https://board.example:8443/chandler".parse().unwrap();
    let board = Board::with(Gate::new(Hosts::new("127.0.0.1", &[]), Some("secret")).behind(public)).await;
    board.run_with_points("r", 1).await;
    let (html, form) = ("Accept: text/html", "Content-Type: application/x-www-form-urlencoded");
    let from_page = "Origin: https://board.example:8443";
    let (mut pages, mut session) = (Vec::new(), String::new());
    for (folder, host) in [
        ("", "Host: board.example"),
        ("/chandler", "Host: board.example:8443"),
        ("/chandler", "Host: 127.0.0.1"),
    ] {
        let ask = async |line: &str, headers: &[&str], body: &str| {
            board.ask(line, &[&[host, from_page], headers].concat(), body).await
        };
        let answer = ask(&format!("GET {folder}/runs/r"), &[html], "").await;
        assert!(answer.contains("location: /chandler/login?next=/runs/r"), "{answer}");
        pages.push(ask(&format!("GET {folder}/login"), &[], "").await);
        let answer = ask(&format!("POST {folder}/login"), &[form], "password=secret&next=/runs/r").await;
        assert!(answer.contains("location: /chandler/runs/r"), "{answer}");
        let cookie = answer.split("set-cookie: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        assert!(cookie.contains("; Path=/chandler;") && cookie.ends_with("; Secure"), "{cookie}");
        session = format!("Cookie: {}", cookie.split(';').next().unwrap());
        for page in ["/", "/new", "/runs/r", "/datasets", "/no/such/page"] {
            pages.push(ask(&format!("GET {folder}{page}"), &[html, &session], "").await);
        }
        let chosen = ask(&format!("POST {folder}/api/set_language"), &[form, &session], "lang=zh").await;
        assert!(chosen.contains("set-cookie: lang=zh-CN; Path=/chandler;"), "{chosen}");
        assert!(ask(&format!("GET {folder}/pkg/chandler.css"), &[], "").await.contains("body {}"));
    }
    for page in pages {
        let body = page.split_once("\r\n\r\n").unwrap().1;
        let addresses =
            ["href=\"/", "src=\"/", "action=\"/"].iter().flat_map(|start| body.split(start).skip(1));
        let outside: Vec<_> = addresses
            .map(|rest| rest.split('"').next().unwrap())
            .filter(|address| *address != "chandler" && !address.starts_with("chandler/"))
            .collect();
        assert!(
            outside.is_empty() && body.contains("=\"/chandler/") && body.contains("/pkg/chandler.css\""),
            "{outside:?} in {page}"
        );
    }
    let foreign = [session.as_str(), "Origin: https://board.example"];
    let answer = board.ask("POST /chandler/api/stop", &foreign, "id=r").await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("--public-url"), "{answer}");
    assert_eq!(board.status("GET /chandlery", &[&session], "").await, 404);
}

#[tokio::test]
async fn a_logout_ends_what_the_session_has_open() {
    let board = Board::start(Some("secret")).await;
    board.run_with_points("r", 1).await;
    let log_in = async || {
        let form = "Content-Type: application/x-www-form-urlencoded";
        let answer = board.ask("POST /login", &[form, "X-Forwarded-Proto: https"], "password=secret").await;
        let cookie = answer.split("set-cookie: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        assert!(cookie.ends_with("; Secure"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    };
    let watch = async |cookie: &str| {
        use tungstenite::client::IntoClientRequest;
        let mut request = format!("ws://{}/ws/runs/r?after=0", board.address).into_client_request().unwrap();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        Watcher(tokio_tungstenite::connect_async(request).await.unwrap().0)
    };
    let (mine, other) = (log_in().await, log_in().await);
    let (mut leaves, mut stays) = (watch(&mine).await, watch(&other).await);
    assert_eq!((leaves.backfill().await.len(), stays.backfill().await.len()), (1, 1));
    assert_eq!(board.status("POST /logout", &[&format!("Cookie: {mine}")], "").await, 303);
    let end = tokio::time::timeout(Duration::from_secs(10), async {
        while let Some(Ok(_)) = leaves.0.next().await {}
    });
    assert!(end.await.is_ok(), "the socket of a session that is over is closed");
    board.take_in("r", 2..=2).await;
    while !matches!(stays.frame().await, Frame::Run { .. } | Frame::Events { .. }) {}
}

/// A status tells a refusal from a broken server.
#[tokio::test]
async fn refusals_have_a_status_and_words() {
    let board = Board::start(None).await;
    board.run_with_points("r", 1).await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let cases = [
        ("GET /api/runs", "", 400, "Malformed"),
        ("GET /api/runs?search=&state=nonsense", "", 400, "Malformed"),
        ("GET /api/run", "", 400, "Malformed"),
        ("GET /api/run?id=none", "", 404, "NotFound"),
        ("POST /api/stop", "", 400, "Malformed"),
        ("POST /api/stop", "id=none", 404, "NotFound"),
        ("POST /api/stop", "id[a]=r", 400, "Malformed"),
        ("POST /api/rename", "id=r&name=+", 400, "Malformed"),
        ("POST /api/set_language", "lang=tlh", 400, "Malformed"),
        ("POST /api/launch", "name=x&yaml=nonsense_key:+1", 422, "Invalid"),
        ("POST /api/load_chat", "target=none&template=", 409, "Refused"),
        ("POST /api/delete_dataset", "name=none", 404, "NotFound"),
    ];
    for (line, body, status, kind) in cases {
        let answer = board.ask(line, &[form], body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line} {body}: {answer}");
        assert!(answer.contains(&format!("{{\"{kind}\":")), "{line} {body}: {answer}");
    }
    let long = "x".repeat(3 << 20);
    let chunked = format!("{:x}\r\nyaml={long}\r\n0\r\n\r\n", long.len() + 5);
    let answer = board.send("POST /api/check", &[form, "Transfer-Encoding: chunked"], &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{}", answer.lines().next().unwrap_or_default());
}

/// Names that no file can have are no one's fault.
#[tokio::test]
async fn what_no_file_can_be_called_is_not_found() {
    let board = Board::start(None).await;
    let (name, way) = ("x".repeat(300), "d/".repeat(3_000));
    for folder in ["/", "/pkg/", "/fonts/"] {
        for path in [&name, &way, "%00", "a%00.css", "%ff", "chandler.css/x", "%2e%2e%2fsecret"] {
            assert_eq!(board.status(&format!("GET {folder}{path}"), &[], "").await, 404, "{folder}{path}");
        }
    }
}

#[tokio::test]
async fn clients_that_send_nothing_are_dropped_and_those_that_send_are_not() {
    let board = Board::start(None).await;
    board.run_with_points("r", 1).await;
    let head = |line: &str| format!("{line} HTTP/1.1\r\nHost: {}\r\n", board.address);
    let halves = [
        String::new(),
        head("GET /"),
        head("GET /healthz") + "\r\n",
        head("POST /api/check") + "Content-Length: 100\r\n\r\nyaml=",
        head("POST /chat/stream") + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        head("POST /datasets/upload/a.txt") + "Content-Length: 100000\r\n\r\nx",
    ];
    let mut held = Vec::new();
    for half in halves {
        let mut stream = TcpStream::connect(board.address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        held.push((half, stream));
    }
    let mut watcher = board.watch("r", 0).await;
    assert_eq!(watcher.backfill().await.len(), 1);

    // Slow, but always on its way: twice as long as anyone is waited for.
    let mut upload = TcpStream::connect(board.address).await.unwrap();
    let pieces = 8;
    let length = format!("Content-Length: {}\r\n\r\n", pieces * 4096);
    upload.write_all((head("POST /datasets/upload/b.txt") + &length).as_bytes()).await.unwrap();
    for _ in 0..pieces {
        tokio::time::sleep(SLOW / 4).await;
        upload.write_all(&[b'x'; 4096]).await.unwrap();
    }
    let mut answer = [0; 12];
    upload.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");

    for (half, mut stream) in held {
        let end = tokio::time::timeout(SLOW, stream.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "still held: {half:?}");
    }
    board.take_in("r", 2..=2).await;
    assert!(matches!(watcher.frame().await, Frame::Run { .. }), "a watcher may be silent");
}

#[tokio::test]
async fn what_a_watcher_sends_is_not_collected() {
    use futures_util::SinkExt;
    let board = Board::start(None).await;
    board.run_with_points("r", 1).await;
    let mut watcher = board.watch("r", 0).await;
    let small = "x".repeat(1 << 10);
    watcher.0.send(tungstenite::Message::text(small)).await.unwrap();
    assert_eq!(watcher.backfill().await.len(), 1);
    let _ = watcher.0.send(tungstenite::Message::text("x".repeat(64 << 10))).await;
    let end = tokio::time::timeout(SLOW, async { while let Some(Ok(_)) = watcher.0.next().await {} });
    assert!(end.await.is_ok());
}

#[tokio::test]
async fn what_happens_is_counted_for_prometheus() {
    let board = Board::start(Some("secret")).await;
    board.run_with_points("r", 1).await;
    assert_eq!(
        board.status("GET /metrics", &[], "").await,
        401,
        "what runs are there is for those who may look"
    );
    assert_eq!(board.status("BREW /runs/r", &[], "").await, 401);
    let monitor = |password: &str| format!("Authorization: Bearer {password}");
    assert_eq!(board.status("GET /metrics", &[&monitor("guess")], "").await, 401);
    assert_eq!(board.status("GET /", &[&monitor("secret")], "").await, 401, "no other path takes it");
    let answer = board.ask("GET /metrics", &[&monitor("secret")], "").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    for line in [
        "http_requests_total{method=\"GET\",route=\"/metrics\",status=\"401\"} 2",
        "http_requests_total{method=\"other\",route=\"/runs/{id}\",status=\"401\"} 1",
        "http_request_duration_seconds_bucket{route=\"/\",le=\"+Inf\"} 1",
        "chandler_runs{state=\"finished\"} 0",
        "chandler_watchers 0",
        "process_resident_memory_bytes ",
    ] {
        assert!(body.contains(line), "{line} is missing:\n{body}");
    }
    let samples = body.lines().filter(|line| line.starts_with("chandler_runs{"));
    let runs: u64 = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(runs, 1);
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let board = Board::start(None).await;
    let body = "x".repeat(3 << 20);
    assert_eq!(board.status("POST /api/check", &["Content-Type: application/json"], &body).await, 413);
    assert_eq!(board.status("POST /chat/stream", &["Content-Type: application/json"], &body).await, 413);
}

#[tokio::test]
async fn watchers_are_filled_in_from_where_they_left() {
    let board = Board::start(None).await;
    board.run_with_points("r", 10).await;
    let mut watcher = board.watch("r", 0).await;
    assert_eq!(watcher.backfill().await.len(), 10);
    assert!(matches!(watcher.frame().await, Frame::Run { .. }));
    let mut back = board.watch("r", 7).await;
    assert_eq!(back.backfill().await.iter().map(|event| event.seq).collect::<Vec<_>>(), [8, 9, 10]);
    assert_eq!(board.status("GET /ws/runs/none", &["Upgrade: websocket"], "").await, 400);
    let gone = tokio_tungstenite::connect_async(format!("ws://{}/ws/runs/none", board.address)).await;
    assert!(matches!(gone, Err(tungstenite::Error::Http(answer)) if answer.status() == 404));
}

#[tokio::test]
async fn long_curves_are_thinned_without_losing_spikes() {
    let board = Board::start(None).await;
    board.run_with_points("r", 20_000).await;
    let mut watcher = board.watch("r", 0).await;
    let events = watcher.backfill().await;
    assert!(events.len() <= 4_001, "{}", events.len());
    assert_eq!(events.last().unwrap().seq, 20_000);
    let spike = events.iter().find(|event| event.seq == 777).expect("the spike is lost");
    let EventBody::Point(point) = &spike.body else { panic!("{spike:?}") };
    assert_eq!(point.metrics, recipe::Metrics::from([("loss", 100.0), ("rewards/chosen", -0.5)]));
    assert!(events.is_sorted_by(|a, b| a.seq < b.seq));
}

#[tokio::test]
async fn a_run_that_cannot_start_says_why() {
    let board = Board::start(None).await;
    board.run_with_points("r", 0).await;
    for _ in 0..500 {
        let run = board.pool.store().run("r").await.unwrap();
        if let Some(reason) = run.reason {
            assert!(reason.contains("cannot start a worker"), "{reason}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the run is not settled");
}

#[tokio::test]
async fn what_a_failed_worker_printed_comes_to_watchers_and_pages() {
    let board = Board::start(None).await;
    board.run_with_points("r", 0).await;
    std::fs::write(board.pool.run_dir("r").join("worker.log"), "one\nout of luck\n").unwrap();
    let mut watcher = board.watch("r", 0).await;
    let lines = loop {
        if let Frame::LastWords { lines } = watcher.frame().await {
            break lines;
        }
    };
    assert_eq!(lines, ["one", "out of luck"]);
    assert!(board.ask("GET /api/run?id=r", &[], "").await.contains(r#""last_words":["one","out of luck"]"#));
}

#[tokio::test]
async fn only_checkpoints_that_are_there_are_listed() {
    let board = Board::start(None).await;
    board.run_with_points("r", 0).await;
    let checkpoint = |seq, step| {
        let path = format!("checkpoint-{step}");
        Event { seq, time: 0, body: EventBody::Checkpoint { step, path } }
    };
    board.pool.store().ingest("r", vec![checkpoint(1, 5), checkpoint(2, 10)], 0).await.unwrap();
    std::fs::create_dir_all(board.pool.run_dir("r").join("output/checkpoint-10")).unwrap();
    let run = board.ask("GET /api/run?id=r", &[], "").await;
    assert!(run.contains(r#""checkpoints":[{"step":10,"path":"checkpoint-10"}]"#), "{run}");
}

#[tokio::test]
async fn uploads_are_whole_or_leave_nothing() {
    let board = Board::start(None).await;
    let data = board._dir.path().canonicalize().unwrap().join("data");
    let left = || {
        let names = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    let large = "x".repeat(LARGEST_UPLOAD as usize + 1);
    assert_eq!(board.status("POST /datasets/upload/large.txt", &[], &large).await, 413);
    // Without a length the server finds out by itself.
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let answer =
        board.send("POST /datasets/upload/large.txt", &["Transfer-Encoding: chunked"], &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    for name in
        ["..%2Fsecret.txt", "%2Fetc%2Fx.txt", ".hidden.txt", "dataset_info.exe", "a%5Cb.txt", "a%0Ab.txt"]
    {
        assert_eq!(board.status(&format!("POST /datasets/upload/{name}"), &[], "x").await, 400, "{name}");
    }
    let foreign = ["Origin: http://evil.com"];
    assert_eq!(board.status("POST /datasets/upload/a.txt", &foreign, "x").await, 403);
    assert!(left().is_empty(), "{:?}", left());

    // More than other requests may send.
    let fits = "x".repeat(5 << 19);
    assert_eq!(board.status("POST /datasets/upload/a.txt", &[], &fits).await, 201);
    assert_eq!(std::fs::read_to_string(data.join("a.txt")).unwrap(), fits);
    assert_eq!(board.status("POST /datasets/upload/a.txt", &[], "other").await, 409);
    assert_eq!(std::fs::metadata(data.join("a.txt")).unwrap().len(), fits.len() as u64);
    assert_eq!(left(), ["a.txt"]);

    // Who leaves in the middle takes it all along.
    let mut stream = TcpStream::connect(board.address).await.unwrap();
    let head = format!(
        "POST /datasets/upload/b.txt HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000\r\n\r\n",
        board.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 50_000]).await.unwrap();
    let wait = async |files: usize| {
        for _ in 0..1000 {
            if left().len() == files {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited for {files} files: {:?}", left());
    };
    wait(2).await;
    drop(stream);
    wait(1).await;
    assert_eq!(left(), ["a.txt"]);
}

#[tokio::test]
async fn what_a_killed_server_left_of_uploads_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let part = root.join(".upload-abc.part");
    std::fs::write(&part, "half").unwrap();
    std::fs::write(root.join("whole.txt"), "x").unwrap();
    let folders = Folders { models_dir: root.clone(), data_dir: root.clone(), runs_dir: root.clone() };
    let nothing = WorkerCommand { program: PathBuf::from("/nonexistent"), args: Vec::new() };
    server::datasets::Datasets::new(Arc::new(folders), nothing, LARGEST_UPLOAD);
    assert!(!part.exists() && root.join("whole.txt").exists());
}

/// A recipe of a body's length is checked in no time, and what is said of it is short.
#[tokio::test]
async fn a_recipe_without_end_is_checked_quickly() {
    let board = Board::start(None).await;
    let keys: String = (0..100_000).map(|n| format!("k{n}%3A+1%0A")).collect();
    let anchors: String = (0..20_000).map(|n| format!("k{n}%3A+%26a{n}+1%0A")).collect();
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    for (recipe, said) in [(keys, "99900 more"), (anchors, "more than 64 anchors")] {
        let start = std::time::Instant::now();
        let answer = board.ask("POST /api/check", &form, &format!("yaml={recipe}")).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(said), "{answer}");
        assert!(answer.len() < 30_000 && start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
