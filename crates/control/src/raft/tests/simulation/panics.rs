//! Panics of a run, wherever they happen: a task that panics takes nobody with it, and must not go unnoticed.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Takes note of panics from here on. A run has one thread.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICS.with(|panics| panics.borrow_mut().push(panic.to_string()));
            before(panic);
        }));
    });
    drop(take());
}

/// The panics since.
pub(super) fn take() -> Vec<String> {
    PANICS.take()
}
