//! A chart as a file: an SVG that stands by itself, with what style sheets say of it written into it.

#[cfg(not(feature = "hydrate"))]
use elsewhere as here;
#[cfg(feature = "hydrate")]
mod here {
    use leptos::prelude::{document, window};
    use web_sys::Element;

    const NAMESPACE: &str = "http://www.w3.org/2000/svg";
    /// What style sheets decide of lines and texts; each is an attribute of SVG, too.
    const STYLES: [&str; 9] = [
        "fill",
        "stroke",
        "stroke-width",
        "stroke-dasharray",
        "stroke-linejoin",
        "stroke-linecap",
        "opacity",
        "font-size",
        "font-family",
    ];

    /// The drawing within an element, on the colour of the page.
    pub fn text(frame: &Element) -> Option<String> {
        let drawn = frame.query_selector("svg").ok()??;
        let copy = document().create_element_ns(Some(NAMESPACE), "svg").ok()?;
        copy.set_inner_html(&drawn.inner_html());
        write_styles(&drawn, &copy);
        let view = drawn.get_attribute("viewBox")?;
        let size: Vec<&str> = view.split(' ').skip(2).collect();
        let [width, height] = size[..] else { return None };
        let paper = document().create_element_ns(Some(NAMESPACE), "rect").ok()?;
        let colour = style(document().body()?.as_ref(), "background-color")?;
        for (key, value) in [("width", width), ("height", height), ("fill", &colour)] {
            let _ = paper.set_attribute(key, value);
        }
        copy.prepend_with_node_1(&paper).ok()?;
        for (key, value) in [("xmlns", NAMESPACE), ("viewBox", &view), ("width", width), ("height", height)] {
            let _ = copy.set_attribute(key, value);
        }
        Some(copy.outer_html())
    }

    /// Gives an element and all in it the looks of another that has the same parts.
    fn write_styles(drawn: &Element, copy: &Element) {
        for key in STYLES {
            if let Some(value) = style(drawn, key) {
                let _ = copy.set_attribute(key, &value);
            }
        }
        let mut pair = drawn.first_element_child().zip(copy.first_element_child());
        while let Some((drawn, copy)) = pair {
            write_styles(&drawn, &copy);
            pair = drawn.next_element_sibling().zip(copy.next_element_sibling());
        }
    }

    fn style(element: &Element, key: &str) -> Option<String> {
        window().get_computed_style(element).ok()??.get_property_value(key).ok()
    }
}

#[cfg(not(feature = "hydrate"))]
mod elsewhere {
    pub fn text(_frame: &leptos::web_sys::Element) -> Option<String> {
        None
    }
}

use crate::browser;

/// Offers the drawing within an element as a file to save.
pub fn save(frame: &leptos::web_sys::Element, file_name: &str) {
    if let Some(text) = here::text(frame) {
        browser::download(file_name, "image/svg+xml", &text);
    }
}
