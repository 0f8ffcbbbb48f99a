//! Connections: how many there are, and how long a client may take.
//!
//! A client that sends slowly, or nothing, holds a connection and costs nothing: it is dropped when its time is up. What
//! is open by its nature (watchers of runs, answers of a chat) has no such time, but pings find those that are gone.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request},
};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, Sleep},
};
use tower::ServiceExt;

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further clients wait until one of them ends.
    pub connections: usize,
    /// From a connection's beginning, or its last answer, to the end of the next request's head.
    pub head: Duration,
    /// How long the next piece of a body is waited for. What waiting uses up of it, each [`PACE`] bytes give back a
    /// second of: a body of any size may come, if it comes.
    pub body: Duration,
    /// How long an answer may lie here that the client does not take.
    pub unsent: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let seconds = Duration::from_secs;
        Limits { connections: 1_024, head: seconds(20), body: seconds(20), unsent: seconds(60) }
    }
}

/// Bytes in a second that keep a body's sender from being dropped.
const PACE: f64 = 1024.0;

/// Bytes that a request's head may have: all of it is held until it is whole.
const LARGEST_HEAD: usize = 64 << 10;

/// How a body that comes too slowly ends.
pub const TOO_SLOW: &str = "the body of the request came too slowly";

/// Wait after an error of the system, such as no descriptor being free.
const PAUSE: Duration = Duration::from_millis(200);

/// A place among the connections. What goes on after its request, as a websocket does, keeps it.
pub type Place = Arc<OwnedSemaphorePermit>;

/// Answers to connections until `ending`, then ends those that answer to nothing and waits for the others.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, ending: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    // Connections hold the receiver for as long as they last.
    let (end, ended) = watch::channel(false);
    let mut ending = pin!(ending);
    loop {
        let (stream, address, place) = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut ending => break,
        };
        let _ = stream.set_nodelay(true);
        // Linux drops a connection whose peer neither takes data nor answers for so long (tcp(7)).
        let unsent = u32::try_from(limits.unsent.as_millis()).unwrap_or(u32::MAX);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, unsent);
        let router = router.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(|body| Body::new(Paced::new(body, limits.body)));
            request.extensions_mut().insert(ConnectInfo(address));
            request.extensions_mut().insert(place.clone());
            let answer = router.clone().oneshot(request);
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut ended = ended.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let served = tokio::select! {
                served = connection.as_mut() => served,
                () = async { drop(ended.wait_for(|ended| *ended).await) } => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(e) = served {
                tracing::debug!("the connection from {address} ended: {e}");
            }
        });
    }
    drop((listener, ended));
    let _ = end.send(true);
    end.closed().await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, SocketAddr, Place) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return std::future::pending().await };
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, Arc::new(place)),
            // The client was gone before it was its turn.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
            Err(e) => {
                tracing::error!("cannot accept a connection: {e}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The body of a request, whose sender keeps a pace.
struct Paced {
    body: Incoming,
    most: Duration,
    /// What is left of the time that its sender may be waited for.
    patience: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Paced {
    fn new(body: Incoming, most: Duration) -> Paced {
        Paced { body, most, patience: most, waiting: None }
    }
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            let patience = this.patience;
            let (_, end) =
                this.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(patience))));
            ready!(end.as_mut().poll(context));
            let slow = io::Error::new(io::ErrorKind::TimedOut, TOO_SLOW);
            return Poll::Ready(Some(Err(axum::Error::new(slow))));
        };
        if let Some((since, _)) = this.waiting.take() {
            this.patience = this.patience.saturating_sub(since.elapsed());
        }
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            this.patience = this.most.min(this.patience + Duration::from_secs_f64(bytes as f64 / PACE));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
