//! What the process keeps of memory that is free: for programs that run the engine, not for the engine itself, which
//! does not tidy the heap of the application that it lives in.
//!
//! Nothing here does anything where the C library is not glibc.

/// Blocks from here on are the system's own mappings, which go back when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_MAPPING: i32 = 256 * 1_024;

/// What may lie free at the end of a thread's heap.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const END_OF_HEAP: i32 = 512 * 1_024;

/// Has the C library return large blocks when they are freed. To be called once, early.
///
/// glibc's own limits grow with the largest block that was ever freed, up to 64 MiB; a thread that has once
/// encoded a large picture then keeps what that took. Buffers for pictures are used again by the engine, so
/// it costs nothing there.
pub fn keep_little() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt(3) changes two numbers under the lock of the heap; both are in their range.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING);
        libc::mallopt(libc::M_TRIM_THRESHOLD, END_OF_HEAP);
    }
}

/// Asks the C library for the memory that is free to go back to the system: all whole pages of it.
///
/// glibc keeps what is freed between things that live. After hundreds of viewers have come and gone that is as much
/// as they had, though nothing is lost. The call takes some milliseconds for tens of MiB; other threads wait
/// meanwhile only where they allocate.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim(3) may be called at any time by any thread; it takes the locks that it needs.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How many bytes are allocated in heaps, without large blocks, which are mappings of their own; modulo 4 GiB, so that
/// only differences tell something. `None` where it is not known.
///
/// Resident memory does not show that something between things that live was freed; this does. The call takes the time
/// to walk all free blocks.
pub fn allocated() -> Option<u32> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallinfo(3) may be called at any time by any thread. Not mallinfo2, which glibc has only since 2.33.
    return Some(unsafe { libc::mallinfo() }.uordblks.cast_unsigned());
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident_pages() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn what_is_freed_is_allocated_no_longer() {
        let many: Vec<_> = (0..20_000).map(|_| vec![1_u8; 1_024]).collect();
        let full = allocated().unwrap();
        drop(many);
        // Half, because other tests have memory of their own meanwhile.
        let freed = full.wrapping_sub(allocated().unwrap()).cast_signed();
        assert!(freed > 10 << 20, "{freed}");
    }

    #[test]
    fn what_is_freed_between_things_that_live_is_given_back() {
        let before = resident_pages();
        let mut kept = Vec::new();
        let mut freed = Vec::new();
        for index in 0..100_000 {
            freed.push(vec![1_u8; 1_024]);
            if index % 100 == 0 {
                kept.push(vec![1_u8; 64]);
            }
        }
        let full = resident_pages();
        drop(freed);
        give_back();
        let after = resident_pages();
        // Half, because other tests have memory of their own meanwhile.
        let (more, most) = (after.saturating_sub(before), full.saturating_sub(before));
        assert!(more < most / 2, "{before} → {full} → {after} pages");
        assert_eq!(kept.len(), 1_000);
    }
}
