//! The bar at the top: mark, pages, language and theme.

use leptos::prelude::*;

use super::icon::{Flame, Icon, IconName};
use super::link::A;
use super::switches::{LanguageSwitch, LogOut, ThemeSwitch};
use crate::i18n::words;
use crate::session::has_password;

#[component]
pub fn Nav() -> AnyView {
    let w = words();
    view! {
        <header class="nav" data-test="nav">
            <div class="nav-inner">
                <A href="/" attr:class="brand" attr:aria-label="Chandler" attr:data-test="nav-home">
                    <Flame/>
                    <span>"Chandler"</span>
                </A>
                <nav aria-label=w.nav_label>
                    <A href="/" exact=true attr:class="nav-link" attr:data-test="nav-runs">
                        <Icon name=IconName::Runs/>
                        <span>{w.nav_runs}</span>
                    </A>
                    <A href="/datasets" attr:class="nav-link" attr:data-test="nav-data">
                        <Icon name=IconName::Data/>
                        <span>{w.nav_data}</span>
                    </A>
                    <A href="/chat" attr:class="nav-link" attr:data-test="nav-chat">
                        <Icon name=IconName::Chat/>
                        <span>{w.nav_chat}</span>
                    </A>
                    <A href="/new" attr:class="nav-link nav-new" attr:data-test="nav-new">
                        <Icon name=IconName::Plus/>
                        <span>{w.nav_new}</span>
                    </A>
                </nav>
                <div class="nav-switches">
                    <LanguageSwitch/>
                    <ThemeSwitch/>
                    {has_password().then(|| view! { <LogOut/> })}
                </div>
            </div>
        </header>
    }
    .into_any()
}
