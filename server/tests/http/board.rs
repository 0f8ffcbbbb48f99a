//! A board over a real connection, and those who watch it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::StreamExt;
use recipe::{Event, EventBody, Point};
use server::{
    chat::Chat,
    connections::{self, Limits},
    pool::Pool,
    routes::{AppState, Metrics, router},
    security::{Gate, Hosts},
    site::Site,
    store::NewRun,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite;
use wire::Frame;

use crate::place::{Place, new_run, no_command};

/// How long boards wait for a client that sends nothing.
pub const SLOW: Duration = Duration::from_secs(2);

/// The head of a form that is sent.
pub const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

pub struct Board {
    pub address: SocketAddr,
    pub pool: Pool,
    pub place: Place,
}

impl Board {
    pub async fn start(password: Option<&str>) -> Board {
        Board::with(Gate::new(Hosts::new("127.0.0.1", &[]), password)).await
    }

    pub async fn with(gate: Gate) -> Board {
        let place = Place::new();
        // No worker is ever started here: the program cannot be.
        let pool = place.pool(no_command(), false).await;
        let chat = Chat::new(no_command());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        place.write("site/pkg/chandler.css", "body {}");
        let site = Site::open(&place.root().join("site"));
        let state = AppState {
            options: site.options(address),
            site: Arc::new(site),
            board: Arc::new(place.board(&pool, &chat)),
            pool: pool.clone(),
            chat,
            gate: Arc::new(gate),
            metrics: Metrics::new().unwrap(),
        };
        let limits = Limits { head: SLOW, body: SLOW, ..Limits::default() };
        tokio::spawn(connections::serve(listener, router(state), limits, std::future::pending()));
        Board { address, pool, place }
    }

    /// Status line, headers and body of the answer to a request with these header lines.
    pub async fn ask(&self, request_line: &str, headers: &[&str], body: &str) -> String {
        let length = format!("Content-Length: {}", body.len());
        self.send(request_line, &[headers, &[&length]].concat(), body).await
    }

    /// The same, where the headers say how long the body is.
    pub async fn send(&self, request_line: &str, headers: &[&str], body: &str) -> String {
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

    pub async fn status(&self, request_line: &str, headers: &[&str], body: &str) -> u16 {
        let answer = self.ask(request_line, headers, body).await;
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    /// A run whose worker could not be started, with some events in its database.
    pub async fn run_with_points(&self, id: &str, points: u64) {
        let run = NewRun { name: "<script>alert(1)</script>".to_owned(), ..new_run(id) };
        self.pool.enqueue(&run, "").await.unwrap();
        self.take_in(id, 1..=points).await;
    }

    pub async fn take_in(&self, id: &str, steps: impl Iterator<Item = u64>) {
        let events: Vec<Event> = steps
            .map(|step| {
                let loss = if step == 777 { 100.0 } else { 1.0 };
                let metrics = recipe::Metrics::from([("loss", loss), ("rewards/chosen", -0.5)]);
                let point = Point { step, metrics, ..Point::default() };
                Event { seq: step, time: 0, body: EventBody::Point(point) }
            })
            .collect();
        self.pool.store().ingest(id, events, 0).await.unwrap();
    }

    pub async fn watch(&self, id: &str, after: u64) -> Watcher {
        let url = format!("ws://{}/ws/runs/{id}?after={after}", self.address);
        Watcher(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }
}

pub struct Watcher(pub tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>);

impl Watcher {
    pub async fn frame(&mut self) -> Frame {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.unwrap();
            if let tungstenite::Message::Text(text) = message.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    pub async fn backfill(&mut self) -> Vec<Event> {
        match self.frame().await {
            Frame::Backfill { events } => events,
            other => panic!("{other:?}"),
        }
    }
}
