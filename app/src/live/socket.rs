//! The websocket client: connects, feeds the fold, and reconnects after the event it last saw.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, WebSocket};
use wire::Frame;

use super::{Connection, Fold};
use crate::base::at;

/// First and longest wait between two tries, in milliseconds.
const WAIT: (u32, u32) = (250, 8000);

struct Client {
    run: String,
    fold: Fold,
    connection: RwSignal<Connection>,
    socket: Option<Handle>,
    /// The page is gone; nothing may touch its signals any more.
    closed: bool,
    tries: u32,
}

/// A socket with the callbacks it calls, which live as long as it does.
struct Handle {
    socket: WebSocket,
    _on_open: Closure<dyn FnMut()>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut()>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

/// Follows a run until the current reactive owner (the page) is gone.
pub fn connect(run: String, fold: Fold, connection: RwSignal<Connection>) {
    let client = Client { run, fold, connection, socket: None, closed: false, tries: 0 };
    let client = Rc::new(RefCell::new(client));
    open(&client);

    // A laptop that wakes up need not wait for the next try.
    let waking = SendWrapper::new(client.clone());
    let listener = window_event_listener_untyped("online", move |_| retry_now(&waking));
    let looking = SendWrapper::new(client.clone());
    let focus = window_event_listener_untyped("focus", move |_| retry_now(&looking));

    let client = SendWrapper::new(client);
    on_cleanup(move || {
        listener.remove();
        focus.remove();
        let mut client = client.borrow_mut();
        client.closed = true;
        client.socket = None;
    });
}

fn retry_now(client: &Rc<RefCell<Client>>) {
    let waiting = {
        let client = client.borrow();
        !client.closed && client.socket.is_none()
    };
    if waiting {
        open(client);
    }
}

fn open(client: &Rc<RefCell<Client>>) {
    let (url, connection) = {
        let client = client.borrow();
        if client.closed || client.socket.is_some() {
            return;
        }
        (address(&client.run, client.fold.seen()), client.connection)
    };
    if connection.get_untracked() == Connection::Off {
        connection.set(Connection::Connecting);
    }
    let Ok(socket) = WebSocket::new(&url) else {
        connection.set(Connection::Retrying);
        return;
    };

    let this = client.clone();
    let on_open = Closure::<dyn FnMut()>::new(move || {
        this.borrow_mut().tries = 0;
        connection.set(Connection::Open);
    });
    let fold = client.borrow().fold;
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let Some(text) = event.data().as_string() else { return };
        match serde_json::from_str::<Frame>(&text) {
            Ok(frame) => fold.apply(frame),
            Err(error) => leptos::logging::warn!("a frame that this page does not know: {error}"),
        }
    });
    let this = client.clone();
    let on_close = Closure::<dyn FnMut()>::new(move || lost(&this));
    socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
    socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
    client.borrow_mut().socket =
        Some(Handle { socket, _on_open: on_open, _on_message: on_message, _on_close: on_close });
}

/// The connection broke: waits, longer each time and never in step with other pages, and tries again.
fn lost(client: &Rc<RefCell<Client>>) {
    let (tries, connection, handle) = {
        let mut client = client.borrow_mut();
        if client.closed {
            return;
        }
        client.tries += 1;
        (client.tries, client.connection, client.socket.take())
    };
    connection.set(Connection::Retrying);
    let longest = WAIT.0.saturating_mul(1 << tries.min(5)).min(WAIT.1);
    let wait = f64::from(longest) * (0.5 + js_sys::Math::random() / 2.0);
    let client = client.clone();
    set_timeout(
        move || {
            // Dropped only now: this runs in a callback that the handle owns.
            drop(handle);
            open(&client);
        },
        Duration::from_millis(wait as u64),
    );
}

fn address(run: &str, after: u64) -> String {
    let location = window().location();
    let scheme = if location.protocol().is_ok_and(|protocol| protocol == "https:") { "wss" } else { "ws" };
    let host = location.host().unwrap_or_default();
    format!("{scheme}://{host}{}", at(&format!("/ws/runs/{run}?after={after}")))
}
