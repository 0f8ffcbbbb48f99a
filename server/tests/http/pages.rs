//! Pages and server functions: what they carry, and what refusals say.

use std::{sync::Arc, time::Duration};

use recipe::{Eval, Event, EventBody};

use crate::{
    board::{Board, FORM},
    place::until,
};

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

/// A status tells a refusal from a broken server.
#[tokio::test]
async fn refusals_have_a_status_and_words() {
    let board = Board::start(None).await;
    board.run_with_points("r", 1).await;
    let cases = [
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
        let answer = board.ask(line, &[FORM], body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line} {body}: {answer}");
        assert!(answer.contains(&format!("{{\"{kind}\":")), "{line} {body}: {answer}");
    }
    let long = "x".repeat(3 << 20);
    let chunked = format!("{:x}\r\nyaml={long}\r\n0\r\n\r\n", long.len() + 5);
    let answer = board.send("POST /api/check", &[FORM, "Transfer-Encoding: chunked"], &chunked).await;
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
async fn a_run_that_cannot_start_says_why() {
    let board = Board::start(None).await;
    board.run_with_points("r", 0).await;
    let settled = async || board.pool.store().run("r").await.unwrap().reason;
    let reason = until("the run is settled", Duration::from_secs(5), settled).await;
    assert!(reason.contains("cannot start a worker"), "{reason}");
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
