//! Switches of language and theme, and the way out. All are plain forms, so that they work before (and without) script.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use wire::{LANG_COOKIE, Preferences, THEME_COOKIE, Theme};

use super::icon::{Icon, IconName};
use crate::base::at;
use crate::browser;
use crate::i18n::{Lang, words};
use crate::prefs::{Language, cookie_text};

/// Switches to the other language: the page is drawn anew in it, and what was written into it is kept.
#[component]
pub fn LanguageSwitch() -> impl IntoView {
    let w = words();
    let language = expect_context::<Language>();
    let (other, name) = match expect_context::<Preferences>().lang {
        Lang::En => (Lang::Zh, "中文"),
        Lang::Zh => (Lang::En, "English"),
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        browser::set_cookie(&cookie_text(LANG_COOKIE, wire::lang_tag(other)));
        browser::set_root_attribute("lang", wire::lang_tag(other));
        let scrolled = browser::scrolled();
        language.0.set(other);
        request_animation_frame(move || {
            browser::focus("[data-test=lang-switch]");
            browser::scroll_back(scrolled);
        });
    };
    view! {
        <form method="post" action=at("/api/set_language") on:submit=on_submit>
            <input type="hidden" name="lang" value=if other == Lang::Zh { "zh" } else { "en" }/>
            <button type="submit" class="nav-switch" data-test="lang-switch" lang=wire::lang_tag(other) title=w.nav_language>
                <Icon name=IconName::Language/>
                <span>{name}</span>
            </button>
        </form>
    }
}

/// Goes round: as the system has it, light, dark.
#[component]
pub fn ThemeSwitch() -> impl IntoView {
    let w = words();
    let theme = RwSignal::new(expect_context::<Preferences>().theme);
    let next = move || match theme.get() {
        Theme::System => Theme::Light,
        Theme::Light => Theme::Dark,
        Theme::Dark => Theme::System,
    };
    let label = move || match theme.get() {
        Theme::System => w.theme_system,
        Theme::Light => w.theme_light,
        Theme::Dark => w.theme_dark,
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        let chosen = next();
        browser::set_cookie(&cookie_text(THEME_COOKIE, chosen.name()));
        browser::set_root_attribute("data-theme", chosen.name());
        theme.set(chosen);
    };
    view! {
        <form method="post" action=at("/api/set_theme") on:submit=on_submit>
            <input type="hidden" name="theme" value=move || next().name()/>
            <button
                type="submit"
                class="nav-switch"
                data-test="theme-switch"
                data-theme=move || theme.get().name()
                title=label
                aria-label=label
            >
                {move || {
                    let name = match theme.get() {
                        Theme::System => IconName::Screen,
                        Theme::Light => IconName::Sun,
                        Theme::Dark => IconName::Moon,
                    };
                    view! { <Icon name/> }
                }}
            </button>
        </form>
    }
}

/// Ends the session; the password is asked for again. What the browser kept for the pages goes with it.
#[component]
pub fn LogOut() -> impl IntoView {
    let w = words();
    view! {
        <form method="post" action=at("/logout") on:submit=move |_| browser::forget_all()>
            <button type="submit" class="nav-switch" data-test="log-out" title=w.nav_log_out aria-label=w.nav_log_out>
                <Icon name=IconName::LogOut/>
            </button>
        </form>
    }
}
