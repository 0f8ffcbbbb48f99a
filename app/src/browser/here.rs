//! What a browser does.

use std::sync::atomic::Ordering::Relaxed;

use leptos::prelude::{document, window};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, BlobPropertyBag, Element, FocusOptions, FormData, HtmlAnchorElement, HtmlDialogElement,
    HtmlDocument, HtmlElement, HtmlFormElement, HtmlTextAreaElement, Storage, Url,
};

/// Unix milliseconds.
pub fn now() -> u64 {
    js_sys::Date::now() as u64
}

/// The browser's own: Rust's brings tables of all letters along.
pub fn lowercase(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

/// Whether the page's tab is in front.
pub fn is_visible() -> bool {
    document().visibility_state() == web_sys::VisibilityState::Visible
}

/// The address of the page, within the board.
pub fn path() -> String {
    within_board(&window().location().pathname().unwrap_or_default())
}

fn within_board(path: &str) -> String {
    path.strip_prefix(&crate::base::base()).unwrap_or(path).to_owned()
}

/// Where the link leads that an event came from, if that is a page of this site.
pub fn linked_path(event: &web_sys::Event) -> Option<String> {
    let element = event.target()?.dyn_into::<Element>().ok()?;
    let link = element.closest("a[href]").ok()??.dyn_into::<HtmlAnchorElement>().ok()?;
    let here = window().location().host().ok()?;
    (link.host() == here).then(|| within_board(&link.pathname()))
}

pub fn reload() {
    let _ = window().location().reload();
}

/// Whether the server answers.
pub async fn is_reachable() -> bool {
    let answer = window().fetch_with_str(&crate::base::at("/healthz"));
    JsFuture::from(answer).await.is_ok()
}

pub async fn sleep(time: std::time::Duration) {
    let mut wait = |resolve: js_sys::Function, _| {
        let milliseconds = time.as_millis() as i32;
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
    };
    let _ = JsFuture::from(js_sys::Promise::new(&mut wait)).await;
}

/// Whether the page is still being taken over: what the user did to it before is in the document alone.
pub fn is_hydrating() -> bool {
    document().document_element().is_some_and(|root| !root.has_attribute("data-hydrated"))
}

/// What the named controls of a form hold, as they would be sent; several values of one name stay in their order.
pub fn form_values(selector: &str) -> Option<Vec<(String, String)>> {
    let form = document().query_selector(selector).ok()??.dyn_into::<HtmlFormElement>().ok()?;
    let data = FormData::new_with_form(&form).ok()?;
    let entries = js_sys::try_iter(&data).ok()??;
    let pairs = entries.filter_map(|entry| {
        let pair: js_sys::Array = entry.ok()?.dyn_into().ok()?;
        Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
    });
    Some(pairs.collect())
}

/// Whether a form has a control of that name.
pub fn form_has(selector: &str, name: &str) -> bool {
    document().query_selector(&format!("{selector} [name={name}]")).is_ok_and(|found| found.is_some())
}

/// What was written into a text field before the page was taken over.
pub fn typed(name: &str) -> Option<String> {
    let found = document().query_selector(&format!("textarea[name={name}]")).ok()??;
    let text = found.dyn_into::<HtmlTextAreaElement>().ok()?.value();
    (is_hydrating() && !text.is_empty()).then_some(text)
}

/// Begins the names that texts are kept under: other programs of this origin have theirs.
const OURS: &str = "chandler:";

/// Keeps a text under a name, for this tab and for those that are opened later.
pub fn keep(name: &str, text: &str) {
    for storage in storages() {
        // A full or forbidden storage keeps nothing; the page works without.
        let _ = storage.set_item(&format!("{OURS}{name}"), text);
    }
}

/// The text that this tab, or else the last one to do so, has kept.
pub fn kept(name: &str) -> Option<String> {
    storages().find_map(|storage| storage.get_item(&format!("{OURS}{name}")).ok()?)
}

pub fn forget(name: &str) {
    for storage in storages() {
        let _ = storage.remove_item(&format!("{OURS}{name}"));
    }
}

/// Forgets all that this tab and those before it have kept.
pub fn forget_all() {
    for storage in storages() {
        let count = storage.length().unwrap_or(0);
        let names: Vec<String> = (0..count).filter_map(|index| storage.key(index).ok()?).collect();
        for name in names.iter().filter(|name| name.starts_with(OURS)) {
            let _ = storage.remove_item(name);
        }
    }
}

/// The tab's own storage first.
fn storages() -> impl Iterator<Item = Storage> {
    let window = window();
    [window.session_storage(), window.local_storage()].into_iter().filter_map(|found| found.ok()?)
}

/// Puts the focus on an element, and the element into view.
pub fn focus(selector: &str) {
    let found = document().query_selector(selector).ok().flatten();
    if let Some(element) = found.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// The same for an element by its identifier, or for the first control within it, after opening what it is folded into.
pub fn unfold_and_focus(id: &str) {
    let Some(element) = document().get_element_by_id(id) else { return };
    if let Ok(Some(fold)) = element.closest("details") {
        let _ = fold.set_attribute("open", "");
    }
    let within = element.query_selector("input, select, textarea, button").ok().flatten();
    if let Ok(control) = within.unwrap_or(element).dyn_into::<HtmlElement>() {
        let _ = control.focus();
    }
}

/// Focuses an element without moving the page.
pub fn focus_in_place(element: &HtmlElement) {
    let options = FocusOptions::new();
    options.set_prevent_scroll(true);
    let _ = element.focus_with_options(&options);
}

pub fn scrolled() -> f64 {
    window().scroll_y().unwrap_or_default()
}

/// Unix milliseconds of the last step back or forth in the tab's history.
static CAME_BACK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Notes steps back and forth from now on.
pub fn watch_history() {
    leptos::prelude::window_event_listener_untyped("popstate", |_| CAME_BACK.store(now(), Relaxed));
}

/// Whether the page was come back to just now.
pub fn came_back() -> bool {
    const JUST_NOW: u64 = 2000;
    now().saturating_sub(CAME_BACK.load(Relaxed)) < JUST_NOW
}

/// Scrolls the page down to where it was, as soon as there is so much of it; gives up after some frames.
pub fn scroll_back(top: f64) {
    scroll_back_within(top, 60);
}

fn scroll_back_within(top: f64, frames: u32) {
    window().scroll_to_with_x_and_y(0.0, top);
    if frames > 0 && (scrolled() - top).abs() > 1.0 {
        leptos::prelude::request_animation_frame(move || scroll_back_within(top, frames - 1));
    }
}

pub fn set_cookie(text: &str) {
    if let Ok(document) = document().dyn_into::<HtmlDocument>() {
        let _ = document.set_cookie(text);
    }
}

/// Sets an attribute of `<html>`.
pub fn set_root_attribute(name: &str, value: &str) {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute(name, value);
    }
}

/// Puts a text into the clipboard; `false` where the browser refuses (it does without HTTPS, except
/// on this machine).
pub async fn copy(text: &str) -> bool {
    let navigator = window().navigator();
    // `navigator.clipboard` is undefined on insecure origins, whatever its type says.
    let Ok(clipboard) = js_sys::Reflect::get(&navigator, &"clipboard".into()) else { return false };
    if clipboard.is_undefined() {
        return false;
    }
    JsFuture::from(navigator.clipboard().write_text(text)).await.is_ok()
}

/// Offers a text as a file to save.
pub fn download(file_name: &str, mime: &str, text: &str) {
    let options = BlobPropertyBag::new();
    options.set_type(mime);
    let parts = js_sys::Array::of1(&text.into());
    let Ok(blob) = Blob::new_with_str_sequence_and_options(&parts, &options) else { return };
    let Ok(url) = Url::create_object_url_with_blob(&blob) else { return };
    if let Some(link) =
        document().create_element("a").ok().and_then(|a| a.dyn_into::<HtmlAnchorElement>().ok())
    {
        link.set_href(&url);
        link.set_download(file_name);
        link.click();
    }
    let _ = Url::revoke_object_url(&url);
}

/// Shows an element on the whole screen, or as before.
pub fn toggle_full_screen(element: &Element) {
    match document().fullscreen_element() {
        Some(_) => document().exit_fullscreen(),
        None => drop(element.request_fullscreen()),
    }
}

/// Height of an element, in CSS pixels, that is shown on the whole screen.
pub fn full_height_of(element: &Element) -> Option<f64> {
    let full = document().fullscreen_element()?;
    (full == *element).then(|| element.get_bounding_client_rect().height() - 48.0)
}

/// Width of an element in CSS pixels.
pub fn width_of(element: &Element) -> f64 {
    element.get_bounding_client_rect().width()
}

/// Where a pointer is, from the left edge of an element, in CSS pixels.
pub fn offset_in(element: &Element, client_x: f64) -> f64 {
    client_x - element.get_bounding_client_rect().left()
}

/// Goes on receiving a pointer's moves outside the element until it is released.
pub fn capture_pointer(element: &Element, pointer: i32) {
    let _ = element.set_pointer_capture(pointer);
}

pub fn scroll_to_end(element: &Element) {
    element.set_scroll_top(element.scroll_height());
}

/// Whether an element is scrolled to its end, give or take a line.
pub fn is_at_end(element: &Element) -> bool {
    element.scroll_height() - element.scroll_top() - element.client_height() < 32
}

pub fn show_dialog(dialog: &HtmlDialogElement) {
    if !dialog.open() {
        let _ = dialog.show_modal();
    }
}

pub fn close_dialog(dialog: &HtmlDialogElement) {
    dialog.close();
}

/// What the server says about a request that it refused.
pub async fn refusal(response: &web_sys::Response) -> String {
    let text = match response.text() {
        Ok(text) => JsFuture::from(text).await.ok().and_then(|text| text.as_string()).unwrap_or_default(),
        Err(_) => String::new(),
    };
    if text.trim().is_empty() { format!("{} {}", response.status(), response.status_text()) } else { text }
}

/// A script's error in words.
pub fn describe(error: &wasm_bindgen::JsValue) -> String {
    error
        .dyn_ref::<js_sys::Error>()
        .map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}

/// The text of the first file chosen in an `<input type=file>`.
pub async fn chosen_file(input: &web_sys::HtmlInputElement) -> Option<String> {
    let file = input.files()?.get(0)?;
    JsFuture::from(file.text()).await.ok()?.as_string()
}
