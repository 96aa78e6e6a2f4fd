//! A request's body on its way to another thread, in pieces, with back-pressure.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::mailbox::{Mailbox, Post, Ticket};

/// The most bytes in one piece.
pub(crate) const PIECE_BYTES: usize = 16 << 10;
/// Pieces that may wait for the reader: 128 KiB, however long the upload is.
const PIECES: usize = 8;

#[derive(Debug, Default)]
struct Flags {
    /// All of the body has been handed over.
    complete: AtomicBool,
    /// The connection waits for room.
    waits: AtomicBool,
}

/// Makes the two ends of a body.
pub(crate) fn upload(mailbox: Mailbox, ticket: Ticket) -> (UploadWriter, UploadReader) {
    let (pieces, receiver) = bounded(PIECES);
    let flags = Arc::new(Flags::default());
    let writer = UploadWriter { pieces, flags: Arc::clone(&flags) };
    let reader =
        UploadReader { pieces: receiver, flags, current: Vec::new(), read: 0, mailbox, ticket };
    (writer, reader)
}

/// The connection's end. Dropping it before [`finish`](Self::finish) reports to the reader that the client has
/// disconnected.
#[derive(Debug)]
pub(crate) struct UploadWriter {
    pieces: Sender<Vec<u8>>,
    flags: Arc<Flags>,
}

impl UploadWriter {
    /// Whether a piece can be written. If not, a [`Post::Room`] comes when one can.
    pub(crate) fn has_room(&self) -> bool {
        if !self.pieces.is_full() {
            return true;
        }
        self.flags.waits.store(true, Ordering::SeqCst);
        // The reader may have made room just before `waits` was set.
        !self.pieces.is_full()
    }

    /// Hands over a piece; false if the reader is gone. Call [`has_room`](Self::has_room) first: a piece for which there
    /// is no room is lost.
    pub(crate) fn write(&self, piece: Vec<u8>) -> bool {
        match self.pieces.try_send(piece) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// The body is complete.
    pub(crate) fn finish(self) {
        self.flags.complete.store(true, Ordering::SeqCst);
    }
}

/// The other thread's end: reading waits for the client. An upload that its client broke off ends
/// with [`ErrorKind::UnexpectedEof`].
#[derive(Debug)]
pub(crate) struct UploadReader {
    pieces: Receiver<Vec<u8>>,
    flags: Arc<Flags>,
    current: Vec<u8>,
    read: usize,
    mailbox: Mailbox,
    ticket: Ticket,
}

impl UploadReader {
    fn wake(&self) {
        if self.flags.waits.swap(false, Ordering::SeqCst) {
            self.mailbox.post(Post::Room(self.ticket));
        }
    }
}

impl Read for UploadReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.current.len() {
            match self.pieces.recv() {
                Ok(piece) => (self.current, self.read) = (piece, 0),
                Err(_) if self.flags.complete.load(Ordering::SeqCst) => return Ok(0),
                Err(_) => return Err(ErrorKind::UnexpectedEof.into()),
            }
            self.wake();
        }
        let length = (&self.current[self.read..]).read(into)?;
        self.read += length;
        Ok(length)
    }
}

impl Drop for UploadReader {
    fn drop(&mut self) {
        // A connection that waits for room must notice that the reader is gone: close the channel first, then wake it.
        drop(std::mem::replace(&mut self.pieces, crossbeam_channel::never()));
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (UploadWriter, UploadReader, Receiver<Post>) {
        let (mailbox, posts) = Mailbox::for_tests();
        let (writer, reader) = upload(mailbox, Ticket::default());
        (writer, reader, posts)
    }

    #[test]
    fn a_full_upload_waits_for_its_reader() {
        let (writer, mut reader, posts) = ends();
        let mut written = 0;
        while writer.has_room() {
            assert!(writer.write(vec![written; 10]));
            written += 1;
        }
        assert_eq!(usize::from(written), PIECES);
        assert!(posts.is_empty());
        let mut ten = [0; 10];
        reader.read_exact(&mut ten).unwrap();
        assert!(matches!(posts.try_recv(), Ok(Post::Room(_))));
        assert!(writer.has_room());
        writer.finish();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), (PIECES - 1) * 10);
        assert!(posts.is_empty(), "nobody waited");
    }

    #[test]
    fn an_upload_that_breaks_off_is_an_error() {
        let (writer, mut reader, _posts) = ends();
        assert!(writer.write(b"abc".to_vec()));
        drop(writer);
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn the_connection_learns_that_nobody_reads() {
        let (writer, reader, posts) = ends();
        while writer.has_room() {
            writer.write(vec![0]);
        }
        drop(reader);
        assert!(matches!(posts.try_recv(), Ok(Post::Room(_))));
        assert!(!writer.write(vec![0]));
    }
}
