//! Answers as HTML: Markdown, in which raw HTML is text and links lead to known places only.

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

/// Where a link may lead.
const SCHEMES: [&str; 3] = ["http:", "https:", "mailto:"];

/// HTML that is safe to put into a page, whatever the text says.
pub fn to_html(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut safe = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut safe, Parser::new_ext(text, options).map(defuse));
    safe
}

fn defuse(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        // A model's images would be fetched from wherever it says: shown as links instead.
        Event::Start(Tag::Image { dest_url, title, id, .. }) => {
            Event::Start(Tag::Link { link_type: LinkType::Inline, dest_url: allowed(dest_url), title, id })
        }
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: allowed(dest_url), title, id })
        }
        // Newlines mean newlines in a chat.
        Event::SoftBreak => Event::HardBreak,
        other => other,
    }
}

fn allowed(url: CowStr<'_>) -> CowStr<'_> {
    let lower = url.trim().to_ascii_lowercase();
    if SCHEMES.iter().any(|scheme| lower.starts_with(scheme)) { url } else { CowStr::Borrowed("#") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_shown_and_not_obeyed() {
        for attack in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<div>\n<iframe src='//x'></iframe>\n</div>",
            "`<b>` <svg/onload=alert(1)>",
        ] {
            let html = to_html(attack);
            for tag in ["<script", "<img", "<iframe", "<svg", "<div"] {
                assert!(!html.contains(tag), "{attack} became {html}");
            }
        }
    }

    #[test]
    fn links_keep_to_known_schemes() {
        assert!(to_html("[a](https://example.org)").contains("href=\"https://example.org\""));
        assert!(to_html("<mailto:a@example.org>").contains("mailto:a@example.org"));
        for bad in
            ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "//example.org", "vbscript:x"]
        {
            let html = to_html(&format!("[a](<{bad}>)"));
            assert!(html.contains("href=\"#\""), "{bad} became {html}");
        }
        assert!(!to_html("![a](http://example.org/x.png)").contains("<img"));
    }

    #[test]
    fn quotes_do_not_end_an_attribute() {
        let html = to_html("[a](<https://example.org/\" onclick=\"alert(1)>)");
        assert!(!html.contains("\" onclick"), "{html}");
    }

    #[test]
    fn markdown_is_rendered() {
        assert_eq!(to_html("**b** `c`"), "<p><strong>b</strong> <code>c</code></p>\n");
        assert!(to_html("a\nb").contains("<br"));
        assert!(to_html("|a|\n|-|\n|b|").contains("<table>"));
    }
}
