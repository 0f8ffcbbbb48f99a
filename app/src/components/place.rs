//! Where a long page was scrolled to: who comes back to it finds the same place.

use leptos::prelude::*;

use crate::browser;

/// Keeps how far the page is scrolled, under its address, and goes there again if it was come back to.
pub fn keep_place(address: String) {
    let name = format!("place:{address}");
    Effect::new(move |_| {
        if let Some(top) =
            browser::kept(&name).and_then(|top| top.parse().ok()).filter(|_| browser::came_back())
        {
            browser::scroll_back(top);
        }
        let name = name.clone();
        let listener = window_event_listener(leptos::ev::scroll, move |_| {
            browser::keep(&name, &browser::scrolled().to_string());
        });
        on_cleanup(move || listener.remove());
    });
}
