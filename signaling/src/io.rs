use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use crate::tls::Transport;

/// Bytes one connection may take from its socket in one turn of the loop, so that a flood on one
/// connection leaves the others their turn.
pub(crate) const READ_BUDGET_BYTES: usize = 64 << 10;

/// A connection's stream for the length of one turn: reads end at the turn's budget as if the
/// socket were empty, writes go behind what `output` still holds.
pub(crate) struct TurnIo<'a> {
    pub(crate) transport: &'a mut Transport,
    pub(crate) output: &'a mut Output,
    pub(crate) budget: &'a mut usize,
}

impl Read for TurnIo<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if *self.budget == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = into.len().min(*self.budget);
        let got = self.transport.read(into.get_mut(..most).unwrap_or_default())?;
        *self.budget -= got.min(*self.budget);
        Ok(got)
    }
}

impl Write for TurnIo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write_to(self.transport)?;
        self.transport.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.write_to(self.transport)?;
        self.transport.flush()
    }
}

/// Bytes waiting for the socket.
#[derive(Debug, Default)]
pub(crate) struct Output(VecDeque<u8>);

impl Output {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// Writes as much as goes; `WouldBlock` means that something is left.
    pub(crate) fn write_to(&mut self, stream: &mut impl Write) -> io::Result<()> {
        while !self.0.is_empty() {
            let written = stream.write(self.0.as_slices().0)?;
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.0.drain(..written);
        }
        Ok(())
    }
}

/// Turns `WouldBlock` into `None`.
pub(crate) fn ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(e),
    }
}
