//! Going to another page from a callback.

use leptos_router::NavigateOptions;

#[cfg(feature = "hydrate")]
use crate::base::at;

#[cfg(feature = "hydrate")]
type Go = Box<dyn Fn(&str, NavigateOptions)>;

/// The router's way to go somewhere, which any callback can hold. On the server it leads nowhere.
#[derive(Clone, Copy)]
pub struct Navigate {
    #[cfg(feature = "hydrate")]
    go: leptos::prelude::StoredValue<Go, leptos::prelude::LocalStorage>,
}

/// Must be called while a component is made, below the router.
pub fn navigate() -> Navigate {
    Navigate {
        #[cfg(feature = "hydrate")]
        go: leptos::prelude::StoredValue::new_local(Box::new(leptos_router::hooks::use_navigate()) as Go),
    }
}

impl Navigate {
    /// Goes to a page, as a link does.
    pub fn to(self, path: &str) {
        self.with(path, NavigateOptions::default());
    }

    /// Changes the address of the page that is shown, without a new entry in the history.
    pub fn stay_at(self, path: &str) {
        self.with(path, NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() });
    }

    #[cfg(feature = "hydrate")]
    fn with(self, path: &str, options: NavigateOptions) {
        use leptos::prelude::WithValue;
        // The router would put the folder before it, too, but take the slash off the first page's address.
        let options = NavigateOptions { resolve: false, ..options };
        self.go.try_with_value(|go| go(&at(path), options));
    }

    #[cfg(not(feature = "hydrate"))]
    fn with(self, _path: &str, _options: NavigateOptions) {}
}
