//! Icons: drawn on a grid of 24, with a line of 1.75.

use leptos::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IconName {
    Alert,
    Chat,
    Check,
    Chevron,
    Copy,
    Cross,
    Data,
    Download,
    Enlarge,
    Language,
    LogOut,
    Moon,
    Pencil,
    Play,
    Plus,
    Refresh,
    Runs,
    Screen,
    Search,
    Send,
    Sliders,
    Stop,
    Sun,
    Trash,
    Upload,
}

impl IconName {
    /// The `d` of the path.
    fn path(self) -> &'static str {
        match self {
            IconName::Alert => "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17.2v.1",
            IconName::Chat => "M4 5.5h16v11H10l-4.5 3.6v-3.6H4z",
            IconName::Check => "m5 12.5 4.6 4.6L19 7.4",
            IconName::Chevron => "m9 6 6 6-6 6",
            IconName::Copy => "M9 9h11v11H9zM15 9V4H4v11h5",
            IconName::Cross => "m6 6 12 12M18 6 6 18",
            IconName::Data => {
                "M12 4c4.4 0 8 1.3 8 3s-3.6 3-8 3-8-1.3-8-3 3.6-3 8-3M4 7v10c0 1.7 3.6 3 8 3s8-1.3 8-3V7M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3"
            }
            IconName::Download => "M12 4v11m-4.6-4.4L12 15.2l4.6-4.6M4.5 19.5h15",
            IconName::Enlarge => "M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5",
            IconName::Language => {
                "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M3.2 12h17.6M12 3c-5 5.4-5 12.6 0 18M12 3c5 5.4 5 12.6 0 18"
            }
            IconName::LogOut => "M10 4H5v16h5M14.5 7.5 19 12l-4.5 4.5M19 12H9.5",
            IconName::Moon => "M19.8 14.6A8.3 8.3 0 0 1 9.4 4.2a8.3 8.3 0 1 0 10.4 10.4",
            IconName::Pencil => "m4 20 .9-4.2L16.3 4.4l3.3 3.3L8.2 19.1zM14 6.7l3.3 3.3",
            IconName::Play => "M7 4.8v14.4L19 12z",
            IconName::Plus => "M12 5v14M5 12h14",
            IconName::Refresh => {
                "M20 5v5h-5M4 19v-5h5M5.6 9.2a7 7 0 0 1 12-2.6L20 10M4 14l2.4 3.4a7 7 0 0 0 12-2.6"
            }
            IconName::Runs => "M4 6h16M4 12h16M4 18h10",
            IconName::Screen => "M4 5h16v11H4zM9 20h6M12 16v4",
            IconName::Search => "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.3 15.3 20.5 20.5",
            IconName::Send => "M12 19.5V5m-6 6 6-6 6 6",
            IconName::Sliders => "M4 7h9m5 0h2M4 17h2m5 0h9M13 4.5h5v5h-5zM6 14.5h5v5H6z",
            IconName::Stop => "M6.5 6.5h11v11h-11z",
            IconName::Sun => {
                "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4"
            }
            IconName::Trash => "M4.5 6.5h15M9 6.5V4h6v2.5M6.5 6.5 7.4 20h9.2l.9-13.5M10 10.5v5.5M14 10.5v5.5",
            IconName::Upload => "M12 15.5V4.5M7.4 9 12 4.4 16.6 9M4.5 19.5h15",
        }
    }
}

/// An icon beside a text that says the same: hidden from screen readers.
#[component]
pub fn Icon(name: IconName) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
            <path d=name.path()/>
        </svg>
    }
}

/// The mark: a candle's flame.
#[component]
pub fn Flame() -> impl IntoView {
    view! {
        <svg class="flame" viewBox="0 0 24 24" aria-hidden="true">
            <path class="flame-outer" d="M12.3 1.5c.7 3.6 6.2 6.9 6.2 13.2a6.5 6.5 0 0 1-13 0c0-3.3 1.7-5.5 3.3-7.5 1.5-1.8 2.9-3.4 3.5-5.7"/>
            <path class="flame-inner" d="M12 11c.4 2 2.8 3.3 2.8 5.9a2.8 2.8 0 0 1-5.6 0c0-2.4 2.1-3.6 2.8-5.9"/>
        </svg>
    }
}
