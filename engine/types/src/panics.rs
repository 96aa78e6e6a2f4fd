//! Catching panics, and what is known of them.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many catches this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic inside of one was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something; a panic in there comes back in words.
///
/// # Errors
///
/// What the panic said, and, after [`install_panic_hook`], where it was.
pub fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    // A thread that is about to end has no such state any more; panics are caught all the same.
    let _ = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
    let caught = catch_unwind(AssertUnwindSafe(run));
    let _ = DEPTH.try_with(|depth| depth.set(depth.get().saturating_sub(1)));
    caught.map_err(describe)
}

fn describe(payload: Box<dyn Any + Send>) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    // The payload is whoever panicked's, and may panic again; so may what that one leaves.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    let place = PLACE.try_with(|place| place.try_borrow_mut().ok()?.take());
    match place.ok().flatten() {
        Some(place) => format!("{text}, at {place}"),
        None => text,
    }
}

/// Has panics that [`catch_panic`] catches go to its caller alone, with the place they come from: the engine
/// logs each kind once. Without it each is printed on stderr as well. Panics elsewhere in the process go to
/// the hook that there was before.
///
/// For programs that are a server as a whole, as the `visavis` command is: a library must not change a
/// process's panic hook by itself. A second call does nothing.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let caught = DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false);
            if !caught {
                before(info);
                return;
            }
            let place = info.location().map(ToString::to_string);
            let _ = PLACE.try_with(|own| {
                if let Ok(mut own) = own.try_borrow_mut() {
                    *own = place;
                }
            });
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_in_words_and_with_its_place_once_there_is_the_hook() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        install_panic_hook();
        install_panic_hook();
        let why = catch_panic(|| panic!("number {}", 3)).unwrap_err();
        assert!(why.starts_with("number 3, at ") && why.contains("panics.rs:"), "{why}");
        let inner = catch_panic(|| catch_panic(|| panic!("inside"))).unwrap().unwrap_err();
        assert!(inner.starts_with("inside"), "{inner}");
        let odd = catch_panic(|| std::panic::panic_any(5)).unwrap_err();
        assert!(odd.starts_with("a panic without a message"), "{odd}");
    }
}
