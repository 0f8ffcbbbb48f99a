//! What stands in its place on the server.

use leptos::web_sys::{Element, HtmlDialogElement, HtmlElement, HtmlInputElement};

/// Unix milliseconds.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

pub fn lowercase(text: &str) -> String {
    text.to_lowercase()
}

pub fn is_visible() -> bool {
    false
}

pub fn reload() {}

pub async fn is_reachable() -> bool {
    true
}

pub fn is_hydrating() -> bool {
    false
}

pub fn form_values(_selector: &str) -> Option<Vec<(String, String)>> {
    None
}

pub fn form_has(_selector: &str, _name: &str) -> bool {
    false
}

pub fn typed(_name: &str) -> Option<String> {
    None
}

pub fn keep(_name: &str, _text: &str) {}

pub fn kept(_name: &str) -> Option<String> {
    None
}

pub fn forget(_name: &str) {}

pub fn forget_all() {}

pub fn focus(_selector: &str) {}

pub fn unfold_and_focus(_id: &str) {}

pub fn focus_in_place(_element: &HtmlElement) {}

pub fn scrolled() -> f64 {
    0.0
}

pub fn came_back() -> bool {
    false
}

pub fn scroll_back(_top: f64) {}

pub fn set_cookie(_text: &str) {}

pub fn set_root_attribute(_name: &str, _value: &str) {}

pub async fn copy(_text: &str) -> bool {
    false
}

pub fn download(_file_name: &str, _mime: &str, _text: &str) {}

pub fn toggle_full_screen(_element: &Element) {}

pub fn full_height_of(_element: &Element) -> Option<f64> {
    None
}

pub fn width_of(_element: &Element) -> f64 {
    0.0
}

pub fn offset_in(_element: &Element, _client_x: f64) -> f64 {
    0.0
}

pub fn capture_pointer(_element: &Element, _pointer: i32) {}

pub fn scroll_to_end(_element: &Element) {}

pub fn is_at_end(_element: &Element) -> bool {
    true
}

pub fn show_dialog(_dialog: &HtmlDialogElement) {}

pub fn close_dialog(_dialog: &HtmlDialogElement) {}

pub async fn chosen_file(_input: &HtmlInputElement) -> Option<String> {
    None
}
