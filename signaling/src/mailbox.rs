//! How other threads answer requests.

use std::sync::Arc;

use crossbeam_channel::Sender;
use mio::Waker;

use crate::error::ErrorCode;
use crate::http::Response;
use crate::sessions::Created;

/// Which request of which connection something belongs to. A connection's place may have been given
/// to another one meanwhile; a ticket is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ticket {
    /// The connection's place in the loop.
    pub(crate) key: usize,
    pub(crate) serial: u64,
}

/// What other threads have to say to the loop.
#[derive(Debug)]
pub(crate) enum Post {
    /// The answer to a request.
    Reply(Ticket, Box<Response>),
    /// An upload has room again, or its reader is gone.
    Room(Ticket),
    /// A session was made, or not.
    Created(Box<Created>),
}

/// Carries posts into the loop. What is under way is bounded by the requests that are: each has one
/// answer, and one upload that waits for room at most.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    posts: Sender<Post>,
    waker: Option<Arc<Waker>>,
}

impl Mailbox {
    pub(crate) fn new(posts: Sender<Post>, waker: Arc<Waker>) -> Self {
        Self { posts, waker: Some(waker) }
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> (Self, crossbeam_channel::Receiver<Post>) {
        let (posts, receiver) = crossbeam_channel::unbounded();
        (Self { posts, waker: None }, receiver)
    }

    /// Callable from any thread; never waits.
    pub(crate) fn post(&self, post: Post) {
        // Without a receiver the loop has ended, and with it every connection.
        let _ = self.posts.send(post);
        if let Some(waker) = &self.waker {
            let _ = waker.wake();
        }
    }
}

/// The right to answer one request, from any thread, once. Dropped unused, it answers with a 500, so
/// that no client waits for ever.
#[derive(Debug)]
pub(crate) struct Answerer {
    mailbox: Mailbox,
    ticket: Option<Ticket>,
}

impl Answerer {
    pub(crate) fn new(mailbox: Mailbox, ticket: Ticket) -> Self {
        Self { mailbox, ticket: Some(ticket) }
    }

    pub(crate) fn answer(mut self, response: Response) {
        if let Some(ticket) = self.ticket.take() {
            self.mailbox.post(Post::Reply(ticket, Box::new(response)));
        }
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let response = Response::problem(ErrorCode::Internal, "the request was not answered");
            self.mailbox.post(Post::Reply(ticket, Box::new(response)));
        }
    }
}
