//! `/chat`: a conversation with a base model, or with what a run has made of it.

mod conversation;
mod keep;
mod loading;
mod message;
mod settings;
#[cfg(feature = "hydrate")]
mod stream;
mod talk;
mod target;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{ChatStatus, ChatTarget};

use crate::calls;
use crate::calls::CallError;
use crate::components::failure::BoardFailure;
use crate::components::title::PageTitle;
use crate::i18n::words;
use conversation::Conversation;
use settings::Settings;
use talk::Talk;
use target::TargetPanel;

/// What the page needs to know at first.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Start {
    targets: Vec<ChatTarget>,
    status: ChatStatus,
    templates: Vec<String>,
}

async fn start(wanted: Option<String>) -> Result<Start, CallError> {
    Ok(Start {
        targets: calls::chat_targets(wanted).await?,
        status: calls::chat_status().await?,
        templates: calls::choices().await?.templates,
    })
}

#[component]
pub fn ChatPage() -> AnyView {
    let w = words();
    let wanted = use_query_map().with_untracked(|query| query.get("target"));
    let start = Resource::new(|| (), move |()| start(wanted.clone()));
    view! {
        <PageTitle text=w.nav_chat/>
        <div class="page chat-page" data-test="page-chat">
            <h1 class="visually-hidden">{w.nav_chat}</h1>
            <Suspense fallback=|| view! { <div class="skeleton block" aria-busy="true"></div> }>
                {move || Suspend::new(async move {
                    match start.await {
                        Ok(start) => view! { <Chat start/> }.into_any(),
                        Err(error) => view! { <BoardFailure error retry=move |()| start.refetch()/> }.into_any(),
                    }
                })}
            </Suspense>
        </div>
    }
    .into_any()
}

#[component]
fn Chat(start: Start) -> AnyView {
    let status = RwSignal::new(start.status);
    let talk = Talk::new();
    keep::keep(talk);
    view! {
        <noscript><p class="notice">{words().needs_script}</p></noscript>
        <div class="chat" class:ready=move || matches!(status.get(), ChatStatus::Ready { .. })>
            <aside class="chat-side">
                <TargetPanel targets=start.targets templates=start.templates status/>
                <Settings talk/>
            </aside>
            <Conversation talk status/>
        </div>
    }
    .into_any()
}
