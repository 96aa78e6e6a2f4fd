//! How other threads answer requests.

use std::sync::Arc;

use crossbeam_channel::Sender;
use mio::Waker;
use visavis::peer::{Answer, OfferError, PeerId};

use crate::error::{ErrorCode, RequestError};
use crate::http::response::Response;
use crate::sessions::registry::Created;

/// Which request of which connection something belongs to. A connection's place may have been given
/// to another one meanwhile; a ticket is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ticket {
    /// The connection's place in the loop.
    pub(crate) key: usize,
    pub(crate) serial: u64,
}

/// What other threads have for the loop.
#[derive(Debug)]
pub(crate) enum Post {
    /// The response to a request.
    Respond(Ticket, Box<Response>),
    /// An upload has room again, or its reader is gone.
    Room(Ticket),
    /// A session was created, or could not be.
    Created(Ticket, Box<Created>),
    /// The engine's answer to an offer by which a peer renegotiates.
    Renegotiated(PeerId, Ticket, Box<Result<Answer, OfferError>>),
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

    /// The session that a request has asked for was created, or failed.
    pub(crate) fn on_created(&self, ticket: Ticket) -> impl FnOnce(Created) + Send + use<> {
        let mailbox = self.clone();
        move |created| mailbox.post(Post::Created(ticket, Box::new(created)))
    }

    /// Takes in the answer to a peer's later offer.
    pub(crate) fn on_renegotiated(
        &self,
        peer: PeerId,
        ticket: Ticket,
    ) -> impl FnOnce(Result<Answer, OfferError>) + Send + use<> {
        let mailbox = self.clone();
        move |answer| mailbox.post(Post::Renegotiated(peer, ticket, Box::new(answer)))
    }
}

/// The right to respond to one request, from any thread, once. Dropped unused, it responds with a 500, so
/// that no client waits for ever.
#[derive(Debug)]
pub(crate) struct Responder {
    mailbox: Mailbox,
    ticket: Option<Ticket>,
}

impl Responder {
    pub(crate) fn new(mailbox: Mailbox, ticket: Ticket) -> Self {
        Self { mailbox, ticket: Some(ticket) }
    }

    pub(crate) fn respond(mut self, response: impl Into<Response>) {
        if let Some(ticket) = self.ticket.take() {
            self.mailbox.post(Post::Respond(ticket, Box::new(response.into())));
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let error = RequestError::fixed(ErrorCode::Internal, "the request was not answered");
            self.mailbox.post(Post::Respond(ticket, Box::new(error.into())));
        }
    }
}
