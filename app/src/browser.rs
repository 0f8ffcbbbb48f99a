//! What only a browser can do, in one place. On the server each of these does nothing.

#[cfg(not(feature = "hydrate"))]
pub use elsewhere::*;
#[cfg(feature = "hydrate")]
pub use here::*;

#[cfg(feature = "hydrate")]
mod here {
    use leptos::prelude::{document, window};
    use wasm_bindgen::JsCast;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{Blob, BlobPropertyBag, Element, HtmlAnchorElement, HtmlDialogElement, HtmlDocument, Url};

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

    pub fn reload() {
        let _ = window().location().reload();
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
        if text.trim().is_empty() {
            format!("{} {}", response.status(), response.status_text())
        } else {
            text
        }
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
}

#[cfg(not(feature = "hydrate"))]
mod elsewhere {
    use leptos::web_sys::{Element, HtmlDialogElement, HtmlInputElement};

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

    pub fn set_cookie(_text: &str) {}

    pub fn set_root_attribute(_name: &str, _value: &str) {}

    pub async fn copy(_text: &str) -> bool {
        false
    }

    pub fn download(_file_name: &str, _mime: &str, _text: &str) {}

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
}
