//! What is said to the client, and how a connection ends.

use std::io::ErrorKind;
use std::time::Instant;

use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message};
use visavis::Refusal;

use super::super::protocol::{Fault, Outgoing};
use super::{NextStep, WsPeer};
use crate::Limits;
use crate::io::TurnIo;

impl WsPeer {
    pub(super) fn send(&mut self, io: &mut TurnIo<'_>, message: &Outgoing<'_>) -> NextStep {
        let Ok(text) = serde_json::to_string(message) else { return NextStep::Gone };
        match self.socket.write(io, Message::text(text)) {
            Ok(()) => NextStep::Keep,
            Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => NextStep::Keep,
            // The client's close frame has been read already; its reply ends the connection.
            Err(Error::Protocol(ProtocolError::SendAfterClosing)) => NextStep::Keep,
            Err(error) => {
                // A viewer whose answers nobody reads needs no place.
                self.takes_peer_along |= matches!(error, Error::WriteBufferFull(_));
                tracing::debug!(peer = %self.id, %error, "dropping a client that does not read");
                NextStep::Gone
            }
        }
    }

    /// Sends an error and counts it against the client.
    pub(super) fn blame(&mut self, io: &mut TurnIo<'_>, fault: Fault, now: Instant) -> NextStep {
        tracing::debug!(peer = %self.id, code = fault.code, error = fault.error, "bad message");
        if !self.bad_messages.count(1, now) {
            return self.refuse_abuse(io);
        }
        self.send(io, &fault.message())
    }

    pub(super) fn refuse_abuse(&mut self, io: &mut TurnIo<'_>) -> NextStep {
        let fault = Fault::new("abuse", "too many messages that cannot be used");
        self.refuse(io, fault, CloseCode::Policy)
    }

    /// Sends an error and closes, taking the peer along.
    pub(super) fn refuse(
        &mut self,
        io: &mut TurnIo<'_>,
        fault: Fault,
        code: CloseCode,
    ) -> NextStep {
        self.takes_peer_along = true;
        let reason = fault.code;
        let kind = match reason {
            "abuse" => Some(Refusal::WebSocketAbuse),
            "offer-timeout" => Some(Refusal::OfferTimeout),
            "full" => Some(Refusal::Place),
            _ => None,
        };
        if let Some(kind) = kind {
            self.engine.refusals().count(kind);
        }
        match self.send(io, &fault.message()) {
            NextStep::Keep => self.close(io, code, reason),
            next => next,
        }
    }

    pub(super) fn close(
        &mut self,
        io: &mut TurnIo<'_>,
        code: CloseCode,
        reason: &'static str,
    ) -> NextStep {
        match self.socket.close(io, Some(CloseFrame { code, reason: reason.into() })) {
            Ok(()) => NextStep::Close,
            Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => NextStep::Close,
            Err(_) => NextStep::Gone,
        }
    }

    pub(super) fn broken(
        &mut self,
        io: &mut TurnIo<'_>,
        error: Error,
        limits: &Limits,
    ) -> NextStep {
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => NextStep::Close,
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                let error = format!("a message may have {} bytes", limits.message_bytes);
                self.refuse(io, Fault::new("too-large", error), CloseCode::Size)
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_) => {
                NextStep::Gone
            }
            Error::Utf8(_) => {
                let fault = Fault::new("bad-message", "a text frame that is not UTF-8");
                self.refuse(io, fault, CloseCode::Invalid)
            }
            error => {
                let fault = Fault::new("bad-message", format!("this is no WebSocket: {error}"));
                self.refuse(io, fault, CloseCode::Protocol)
            }
        }
    }
}
