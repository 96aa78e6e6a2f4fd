"""Bodies that schemathesis does not know how to write: SDP and sound are bytes as they are."""

import schemathesis


@schemathesis.serializer(
    "application/sdp",
    "application/trickle-ice-sdpfrag",
    "audio/L16",
    "audio/mpeg",
    "audio/pcm",
    "audio/wav",
)
def plain(_, value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    # Generated binary data carries its bytes; anything else is what it looks like.
    return getattr(value, "data", None) or str(value).encode()
