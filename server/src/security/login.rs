//! The login page: plain HTML, works without scripts.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Form,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, Html, IntoResponse, Response},
};

use recipe::Lang;
use wire::Preferences;

use super::{Gate, sessions::Attempt};

/// How long a wrong password is kept waiting for its answer.
const DELAY: Duration = Duration::from_secs(1);

#[derive(serde::Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(serde::Deserialize)]
pub struct Given {
    password: String,
    #[serde(default)]
    next: String,
}

/// `GET /login?next=PATH`
pub async fn login_page(
    State(gate): State<Arc<Gate>>,
    Query(Asked { next }): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    match &gate.sessions {
        Some(sessions) if sessions.admits(&headers, gate.scope(&headers)).is_none() => {
            page(gate.base(), &headers, &next, None).into_response()
        }
        _ => gate.lead_to(inside(&next)).into_response(),
    }
}

/// `POST /login`
pub async fn login(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(Given { password, next }): Form<Given>,
) -> Response {
    let Some(sessions) = &gate.sessions else { return gate.lead_to(inside(&next)).into_response() };
    let (from, scope) = (from.ip(), gate.scope(&headers));
    match sessions.try_password(from, &headers, scope, &password).await {
        Attempt::Right => match sessions.open(scope) {
            Ok(cookies) => {
                tracing::info!("logged in from {from}");
                let cookies = AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie)));
                (cookies, gate.lead_to(inside(&next))).into_response()
            }
            Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
        },
        Attempt::Wrong => {
            tracing::warn!("a wrong password from {from}");
            tokio::time::sleep(DELAY).await;
            let page = page(gate.base(), &headers, &next, Some(|words| words.wrong));
            (StatusCode::UNAUTHORIZED, page).into_response()
        }
        Attempt::Barred => {
            tracing::warn!("too many passwords from {from}: one was not tried");
            let retry = [(header::RETRY_AFTER, "6")];
            let page = page(gate.base(), &headers, &next, Some(|words| words.barred));
            (StatusCode::TOO_MANY_REQUESTS, retry, page).into_response()
        }
    }
}

/// `POST /logout`
pub async fn logout(State(gate): State<Arc<Gate>>, headers: HeaderMap) -> Response {
    let Some(sessions) = &gate.sessions else { return gate.lead_to("/").into_response() };
    tracing::info!("logged out");
    let forget = sessions.close(&headers, gate.scope(&headers));
    ([(header::SET_COOKIE, forget)], gate.lead_to("/login")).into_response()
}

/// `next` where it is a path of this board, else its first page: never another site.
fn inside(next: &str) -> &str {
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(|c: char| c == '\\' || c.is_control() || !c.is_ascii());
    if ours { next } else { "/" }
}

#[derive(Clone, Copy)]
struct Words {
    title: &'static str,
    password: &'static str,
    enter: &'static str,
    wrong: &'static str,
    barred: &'static str,
}

const EN: Words = Words {
    title: "Log in",
    password: "Password",
    enter: "Log in",
    wrong: "Wrong password. It was given, or printed, when the server was started.",
    barred: "Too many wrong passwords at once. Try again in some seconds.",
};

const ZH: Words = Words {
    title: "登录",
    password: "密码",
    enter: "进入",
    wrong: "密码不正确。密码在服务器启动时指定，或由服务器打印。",
    barred: "密码错误次数过多，请几秒钟后再试。",
};

/// Language and theme of a request.
pub fn preferences(headers: &HeaderMap) -> Preferences {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Preferences::from_headers(text(header::COOKIE), text(header::ACCEPT_LANGUAGE))
}

/// The page of a board in the folder `base`, and above its button what `problem` picks from the words.
fn page(
    base: &str,
    headers: &HeaderMap,
    next: &str,
    problem: Option<fn(&Words) -> &'static str>,
) -> Html<String> {
    let preferences = preferences(headers);
    let words = match preferences.lang {
        Lang::En => EN,
        Lang::Zh => ZH,
    };
    let (lang, theme) = (wire::lang_tag(preferences.lang), preferences.theme.name());
    let problem = problem.map(|pick| format!(r#"<p class="notice error" role="alert">{}</p>"#, pick(&words)));
    let problem = problem.unwrap_or_default();
    let Words { title, password, enter, .. } = words;
    let next = escape(inside(next));
    Html(format!(
        r#"<!DOCTYPE html>
<html lang="{lang}" data-theme="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Chandler</title>
<link rel="icon" href="{base}/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{base}/pkg/chandler.css">
</head>
<body class="login">
<main>
<img src="{base}/favicon.svg" alt="" width="56" height="56">
<h1>Chandler</h1>
<form method="post" action="{base}/login" class="card">
<input type="hidden" name="next" value="{next}">
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
{problem}
<button type="submit" class="button primary">{enter}</button>
</form>
</main>
</body>
</html>
"#
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_never_leads_to_another_site() {
        for (next, to) in [
            ("/runs/1?x=2", "/runs/1?x=2"),
            ("", "/"),
            ("//evil.com", "/"),
            ("/\\evil.com", "/"),
            ("https://evil.com", "/"),
            ("javascript:alert(1)", "/"),
            ("/a\r\nb: c", "/"),
        ] {
            assert_eq!(inside(next), to, "{next:?}");
        }
        let Html(page) = page("/chandler", &HeaderMap::new(), "/\"><script>", None);
        assert!(!page.contains("<script>"));
        assert!(page.contains(r#"action="/chandler/login""#) && !page.contains(r#"="/pkg"#), "{page}");
    }
}
