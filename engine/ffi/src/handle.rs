//! The table behind the opaque pointers.
//!
//! A pointer that C holds is a number: the kind of thing, a count that tells it from those before it in the same place
//! of the table, and the place. It is never followed, so that a wrong one is found out.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use crate::status::{Error, Result, visavis_status::*};

/// As many as a place has bits for.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 16;
const KIND_BITS: u32 = 4;
const COUNT_MASK: u64 = (1 << (64 - PLACE_BITS - KIND_BITS)) - 1;

/// What a handle stands for.
pub(crate) trait Handled: Any + Send + Sync {
    /// What C has a pointer to.
    type Opaque;

    /// From 1 to 15, another one for each type.
    const KIND: u64;

    /// For errors.
    const NAME: &'static str;
}

struct Entry {
    handle: u64,
    object: Arc<dyn Any + Send + Sync>,
}

/// Reading takes no lock: it is on the way of each frame.
static TABLE: [ArcSwapOption<Entry>; PLACES] = [const { ArcSwapOption::const_empty() }; PLACES];

static FREE: Mutex<Free> = Mutex::new(Free { given_back: Vec::new(), fresh: 0 });

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Places that are not taken.
struct Free {
    given_back: Vec<usize>,
    /// From here on none was ever taken.
    fresh: usize,
}

impl Free {
    fn take(&mut self) -> Option<usize> {
        self.given_back.pop().or_else(|| {
            let fresh = (self.fresh < PLACES).then_some(self.fresh)?;
            self.fresh += 1;
            Some(fresh)
        })
    }
}

/// Gives something a handle.
pub(crate) fn insert<T: Handled>(object: T) -> Result<*mut T::Opaque> {
    let place = FREE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let place = place.ok_or_else(|| {
        Error::new(VISAVIS_TOO_MANY_HANDLES, "there are 65,536 handles already; free some")
    })?;
    let count = COUNT.fetch_add(1, Relaxed) & COUNT_MASK;
    let handle = T::KIND << (64 - KIND_BITS) | count << PLACE_BITS | place as u64;
    if let Some(slot) = TABLE.get(place) {
        slot.store(Some(Arc::new(Entry { handle, object: Arc::new(object) })));
    }
    Ok(std::ptr::without_provenance_mut(handle as usize))
}

/// What a handle stands for.
pub(crate) fn get<T: Handled>(handle: *const T::Opaque) -> Result<Arc<T>> {
    let entry = slot(handle).and_then(|slot| slot.load_full());
    let object = entry.filter(|entry| entry.handle == handle.addr() as u64);
    object.and_then(|entry| cast(&entry)).ok_or_else(|| invalid::<T>(handle))
}

/// As [`get`], and the handle is free from now on.
pub(crate) fn take<T: Handled>(handle: *const T::Opaque) -> Result<Arc<T>> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    // Nobody else changes the table meanwhile.
    let object = get::<T>(handle)?;
    if let Some(slot) = slot(handle) {
        slot.store(None);
        free.given_back.push(place(handle));
    }
    Ok(object)
}

fn place<T>(handle: *const T) -> usize {
    handle.addr() % PLACES
}

fn slot<T>(handle: *const T) -> Option<&'static ArcSwapOption<Entry>> {
    TABLE.get(place(handle))
}

fn cast<T: Handled>(entry: &Entry) -> Option<Arc<T>> {
    Arc::clone(&entry.object).downcast().ok()
}

fn invalid<T: Handled>(handle: *const T::Opaque) -> Error {
    let text = match handle.is_null() {
        true => format!("the {} is NULL", T::NAME),
        false => format!("this is no {}, or it was freed", T::NAME),
    };
    Error::new(VISAVIS_INVALID_HANDLE, text)
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    pub(crate) struct Opaque;
    pub(crate) struct Other;

    impl Handled for String {
        type Opaque = Opaque;
        const KIND: u64 = 14;
        const NAME: &'static str = "text";
    }

    impl Handled for Vec<u8> {
        type Opaque = Other;
        const KIND: u64 = 15;
        const NAME: &'static str = "list";
    }

    #[test]
    fn a_handle_that_was_freed_or_is_of_another_kind_is_found_out() {
        let handle = insert("a".to_owned()).unwrap();
        assert_eq!(*get::<String>(handle).unwrap(), "a");
        let error = get::<Vec<u8>>(handle.cast()).unwrap_err();
        assert_eq!(error.text, "this is no list, or it was freed");
        assert_eq!(*take::<String>(handle).unwrap(), "a");
        assert_eq!(get::<String>(handle).unwrap_err().status, VISAVIS_INVALID_HANDLE);
        assert_eq!(take::<String>(handle).unwrap_err().status, VISAVIS_INVALID_HANDLE);
        // Its place is another's now.
        let next = insert("b".to_owned()).unwrap();
        assert!(get::<String>(handle).is_err());
        assert_eq!(*take::<String>(next).unwrap(), "b");
        assert_eq!(get::<String>(ptr::null()).unwrap_err().text, "the text is NULL");
        for wild in [1_usize, 0x1234_5678, usize::MAX] {
            assert!(get::<String>(ptr::without_provenance(wild)).is_err());
        }
    }

    #[test]
    fn of_two_threads_that_free_it_one_does() {
        for _ in 0..200 {
            let handle = insert("a".to_owned()).unwrap().expose_provenance();
            let free = move || take::<String>(ptr::without_provenance(handle)).is_ok();
            let freed = [std::thread::spawn(free), std::thread::spawn(free)];
            let freed = freed.into_iter().map(|t| t.join().unwrap());
            assert_eq!(freed.filter(|freed| *freed).count(), 1);
        }
    }
}
