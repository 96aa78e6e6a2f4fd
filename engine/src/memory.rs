//! Free memory, and how it goes back to the system: for the program around the engine.
//!
//! The engine gives back what its own tables no longer need. What the C library keeps of freed memory is the
//! application's business, which may have it handed back here. Nothing here does anything where the C library is not
//! glibc. All functions can be called from any thread.
//!
//! ```no_run
//! // Early in `main`: large blocks go back when they are freed.
//! visavis::memory::keep_little();
//! // When a crowd has left.
//! visavis::memory::give_back();
//! ```

pub use visavis_net::memory::{allocated, give_back, keep_little};
