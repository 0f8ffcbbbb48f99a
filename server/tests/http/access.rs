//! Who is let in, and what a session opens and ends.

use std::time::Duration;

use futures_util::StreamExt;
use server::security::{Gate, Hosts};
use tokio_tungstenite::tungstenite;
use wire::Frame;

use crate::board::{Board, FORM, Watcher};

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
    assert_eq!(board.status("POST /login", &[FORM], "password=guess&next=/").await, 401);
    let answer = board.ask("POST /login", &[FORM], "password=secret&next=/runs/r").await;
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
    let html = "Accept: text/html";
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
        let answer = ask(&format!("POST {folder}/login"), &[FORM], "password=secret&next=/runs/r").await;
        assert!(answer.contains("location: /chandler/runs/r"), "{answer}");
        let cookie = answer.split("set-cookie: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        assert!(cookie.contains("; Path=/chandler;") && cookie.ends_with("; Secure"), "{cookie}");
        session = format!("Cookie: {}", cookie.split(';').next().unwrap());
        for page in ["/", "/new", "/runs/r", "/datasets", "/no/such/page"] {
            pages.push(ask(&format!("GET {folder}{page}"), &[html, &session], "").await);
        }
        let chosen = ask(&format!("POST {folder}/api/set_language"), &[FORM, &session], "lang=zh").await;
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
        let answer = board.ask("POST /login", &[FORM, "X-Forwarded-Proto: https"], "password=secret").await;
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
