//! Messages to the client, and how a connection ends.

use std::io::ErrorKind;
use std::time::Instant;

use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message};
use visavis::status::Refusal;

use super::super::protocol::Outgoing;
use super::{NextStep, WsPeer};
use crate::config::Limits;
use crate::error::{ErrorCode, RequestError};
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
                // A client that does not read its answers ends its viewer.
                self.ends_peer |= matches!(error, Error::WriteBufferFull(_));
                tracing::debug!(peer = %self.id, %error, "dropping a client that does not read");
                NextStep::Gone
            }
        }
    }

    /// Sends an error about a message, and counts it against the client.
    pub(super) fn reject_message(
        &mut self,
        io: &mut TurnIo<'_>,
        error: RequestError,
        now: Instant,
    ) -> NextStep {
        let (code, detail) = (error.code.websocket_code(), error.short_detail());
        tracing::debug!(peer = %self.id, code, %detail, "bad message");
        if !self.bad_messages.count(1, now) {
            return self.refuse_abuse(io);
        }
        self.send(io, &error.into())
    }

    pub(super) fn refuse_abuse(&mut self, io: &mut TurnIo<'_>) -> NextStep {
        let detail = "too many messages, or too many unusable ones";
        self.refuse(io, RequestError::fixed(ErrorCode::Abuse, detail))
    }

    /// Sends an error and closes, and ends the peer.
    pub(super) fn refuse(&mut self, io: &mut TurnIo<'_>, error: RequestError) -> NextStep {
        self.ends_peer = true;
        let kind = match error.code {
            ErrorCode::Abuse => Some(Refusal::WebSocketAbuse),
            ErrorCode::OfferTimeout => Some(Refusal::OfferTimeout),
            ErrorCode::Full | ErrorCode::SessionFull => Some(Refusal::Place),
            _ => None,
        };
        if let Some(kind) = kind {
            self.engine.refusals().count(kind);
        }
        self.send_and_close(io, error)
    }

    /// Sends an error and closes with the close code that belongs to it.
    pub(super) fn send_and_close(&mut self, io: &mut TurnIo<'_>, error: RequestError) -> NextStep {
        let code = error.code;
        match self.send(io, &error.into()) {
            NextStep::Keep => self.close(io, code.close_code().into(), code.websocket_code()),
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
                let detail = format!("a message may have at most {} bytes", limits.message_bytes);
                self.refuse(io, RequestError::new(ErrorCode::TooLarge, detail))
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_) => {
                NextStep::Gone
            }
            Error::Utf8(_) => {
                let detail = "invalid UTF-8 in a text frame";
                self.refuse(io, RequestError::fixed(ErrorCode::BadText, detail))
            }
            error => {
                let detail = format!("invalid WebSocket frame: {error}");
                self.refuse(io, RequestError::new(ErrorCode::BadFrame, detail))
            }
        }
    }
}
