//! Messages to viewers, and from them.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use visavis::data::{DataChannel, DataMessage, PeerMessage, SendOutcome};
use visavis::peer::PeerId;

use crate::callback::{UserPointer, visavis_destroy};
use crate::handle::{self, Handled};
use crate::raw::{self, Versioned};
use crate::reader::{Next, Reader};
use crate::session::{SessionObject, visavis_session};
use crate::status::{Error, Result, visavis_status, visavis_status::*};

/// The data channels of a session's viewers. Freed with visavis_data_free().
pub struct visavis_data {
    _private: [u8; 0],
}

struct DataObject {
    channel: DataChannel,
    reader: Arc<Reader<PeerMessage, Kept>>,
}

impl Handled for DataObject {
    type Opaque = visavis_data;
    const KIND: u64 = 7;
    const NAME: &'static str = "data channel";
}

/// A message from a viewer.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_message {
    /// Set by visavis_message_init().
    pub struct_size: usize,
    /// Whose it is.
    pub peer: u64,
    /// What the viewer calls the channel. Good until the next message is read from the same reader, or it is freed.
    pub label: *const c_char,
    /// The message; a NUL follows it, which is not part of it. Good as long as label.
    pub data: *const c_void,
    /// Its length in bytes.
    pub len: usize,
    /// 1: a text, in UTF-8; 0: bytes.
    pub is_text: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_message {
    const NAME: &'static str = "visavis_message";

    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            peer: 0,
            label: ptr::null(),
            data: ptr::null(),
            len: 0,
            is_text: 0,
            reserved: 0,
        }
    }
}

/// The label and the bytes of the message that was read last.
type Kept = (CString, Vec<u8>);

/// A message as C sees it, and what it points to, which stays where it is when it is moved.
fn for_c(message: &PeerMessage) -> (visavis_message, Kept) {
    let bytes = message.message.as_bytes();
    let mut data = Vec::with_capacity(bytes.len() + 1);
    data.extend_from_slice(bytes);
    data.push(0);
    let label = CString::new(message.label.replace('\0', "?")).unwrap_or_default();
    let out = visavis_message {
        peer: message.peer.as_raw(),
        label: label.as_ptr(),
        data: data.as_ptr().cast(),
        len: bytes.len(),
        is_text: matches!(message.message, DataMessage::Text(_)).into(),
        ..visavis_message::initial()
    };
    (out, (label, data))
}

/// Prepares a message to be filled; struct_size is sizeof(*message).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_message_init(
    message: *mut visavis_message,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(message, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Opens the data channels of a session. Viewers open the channels themselves; the player page opens one that is called
/// "visavis". Before the first call what viewers send is dropped; several readers of one session share what comes.
///
/// data: is set to the data channels, which are the caller's to free; to NULL on errors. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_data_open(
    session: *const visavis_session,
    data: *mut *mut visavis_data,
) -> visavis_status {
    entry!([data] {
        let channel = handle::get::<SessionObject>(session)?.session.data();
        let reader = Arc::new(Reader::new(channel.incoming().clone())?);
        raw::put(data, handle::insert(DataObject { channel, reader })?);
        Ok(VISAVIS_OK)
    })
}

/// Sends one viewer a message. Never waits. Messages to one viewer arrive in the order in which they were accepted.
///
/// label: the channel; NULL for the first that the viewer has opened. message, len: 1 to 65,536 bytes. is_text: 1 for a
/// text in UTF-8, 0 for bytes. VISAVIS_OK; VISAVIS_FULL: 1 MiB waits for this viewer already. VISAVIS_INVALID_MEDIA: the
/// length. VISAVIS_NOT_FOUND: no such viewer, or no such channel yet: VISAVIS_EVENT_DATA_CHANNEL_OPENED says when. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_data_send(
    data: *const visavis_data,
    peer: u64,
    label: *const c_char,
    message: *const c_void,
    len: usize,
    is_text: u32,
) -> visavis_status {
    entry!({
        let data = handle::get::<DataObject>(data)?;
        let message = message_of(raw::bytes("message", message.cast(), len)?, is_text)?;
        let channel = labelled(&data.channel, raw::optional_text("label", label)?);
        match channel.send(PeerId::from_raw(peer), &message)? {
            SendOutcome::Accepted => Ok(VISAVIS_OK),
            _ => Ok(VISAVIS_FULL),
        }
    })
}

/// Sends a message to every viewer that has a channel for it; as visavis_data_send().
///
/// accepted: NULL, or set to the number of viewers that it is on its way to. VISAVIS_FULL: there were others, which do not
/// keep up and do not get it. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_data_broadcast(
    data: *const visavis_data,
    label: *const c_char,
    message: *const c_void,
    len: usize,
    is_text: u32,
    accepted: *mut usize,
) -> visavis_status {
    entry!({
        raw::put(accepted, 0);
        let data = handle::get::<DataObject>(data)?;
        let message = message_of(raw::bytes("message", message.cast(), len)?, is_text)?;
        let channel = labelled(&data.channel, raw::optional_text("label", label)?);
        let outcome = channel.broadcast(&message)?;
        raw::put(accepted, outcome.accepted);
        Ok(if outcome.full.is_empty() { VISAVIS_OK } else { VISAVIS_FULL })
    })
}

fn message_of(bytes: &[u8], is_text: u32) -> Result<DataMessage> {
    if is_text == 0 {
        return Ok(DataMessage::Binary(bytes.to_vec()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Error::argument("message is no UTF-8"))?;
    Ok(DataMessage::Text(text.to_owned()))
}

fn labelled(channel: &DataChannel, label: Option<&str>) -> DataChannel {
    label.map_or_else(|| channel.clone(), |label| channel.labelled(label))
}

/// How many bytes wait for a viewer. VISAVIS_NOT_FOUND: there is no such viewer. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_data_waiting_bytes(
    data: *const visavis_data,
    peer: u64,
    bytes: *mut usize,
) -> visavis_status {
    entry!({
        let data = handle::get::<DataObject>(data)?;
        let peer = PeerId::from_raw(peer);
        let waiting = data.channel.waiting_bytes(peer).ok_or_else(|| {
            Error::new(VISAVIS_NOT_FOUND, format_args!("the session has no viewer {peer}"))
        })?;
        raw::put(bytes, waiting);
        Ok(VISAVIS_OK)
    })
}

/// Reads the next message of any viewer; as visavis_events_next(). VISAVIS_END: the session has stopped, or the data
/// channels were freed. Of what is not read 1 MiB of each viewer is kept, and 16 MiB of all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_data_next(
    data: *const visavis_data,
    message: *mut visavis_message,
    timeout_ms: i32,
) -> visavis_status {
    entry!({
        let data = handle::get::<DataObject>(data)?;
        raw::check(message)?;
        match data.reader.next(timeout_ms)? {
            Next::Item(item) => {
                let (out, kept) = for_c(&item);
                let _kept = data.reader.keep(kept);
                raw::write(message, out)?;
                Ok(VISAVIS_OK)
            }
            Next::Timeout => Ok(VISAVIS_TIMEOUT),
            Next::End => Ok(VISAVIS_END),
        }
    })
}

/// A file descriptor that is readable while messages wait; as visavis_events_fd().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_data_fd(
    data: *const visavis_data,
    fd: *mut i32,
) -> visavis_status {
    entry!({
        raw::put(fd, handle::get::<DataObject>(data)?.reader.descriptor()?);
        Ok(VISAVIS_OK)
    })
}

/// Called with each message; it is good during the call.
pub type visavis_message_callback =
    Option<unsafe extern "C" fn(user: *mut c_void, message: *const visavis_message)>;

/// Has a function called with each message, on a thread of its own; as visavis_events_set_callback().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_data_set_callback(
    data: *const visavis_data,
    callback: visavis_message_callback,
    user: *mut c_void,
    destroy: visavis_destroy,
) -> visavis_status {
    entry!({
        let data = handle::get::<DataObject>(data)?;
        let callback = callback.ok_or_else(|| raw::null("callback"))?;
        data.reader.call_with(UserPointer::new(user, destroy), move |item, user| {
            let (out, kept) = for_c(&item);
            // SAFETY: the application gave them together.
            unsafe { callback(user.get(), &raw const out) };
            drop(kept);
        })?;
        Ok(VISAVIS_OK)
    })
}

/// Frees the data channels; as visavis_events_free(). The viewers' channels stay open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_data_free(data: *mut visavis_data) -> visavis_status {
    entry!({
        if !data.is_null() {
            handle::take::<DataObject>(data)?.reader.close();
        }
        Ok(VISAVIS_OK)
    })
}
