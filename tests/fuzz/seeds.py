#!/usr/bin/env python3
"""Writes seeds/TARGET/*: small inputs that the targets begin with. Needs ffmpeg; run it again after a change."""

import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEEDS = HERE / "seeds"


def seed(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def pieces(*parts):
    return b"".join(struct.pack("<H", len(part)) + part for part in parts)


def ffmpeg(*args):
    command = ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", *args, "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def annex_b_units(stream):
    """Access units: each begins at a delimiter."""
    parts = stream.split(b"\0\0\0\1\x09")
    return [b"\0\0\0\1\x09" + part for part in parts[1:]]


def rtp(sequence, time, payload, marker=True, kind=96):
    return struct.pack("!BBHII", 0x80, kind | marker << 7, sequence, time, 7) + payload


def main():
    picture = "testsrc=size=32x32:rate=25:duration=0.2"
    size = bytes([8, 8])
    for name, args in {
        "baseline": ["-frames:v", "1", "-f", "mjpeg"],
        "gray": ["-frames:v", "1", "-pix_fmt", "gray", "-f", "mjpeg"],
        "444": ["-frames:v", "1", "-pix_fmt", "yuvj444p", "-f", "mjpeg"],
    }.items():
        seed("still", f"jpeg-{name}", size + ffmpeg(picture, *args))
    for pixels in ["rgb24", "rgba", "gray", "pal8", "rgb48be"]:
        data = ffmpeg(picture, "-frames:v", "1", "-pix_fmt", pixels, "-c:v", "png", "-f", "image2pipe")
        seed("still", f"png-{pixels}", size + data)

    x264 = ["-c:v", "libx264", "-x264-params", "aud=1:keyint=3", "-f", "h264"]
    streams = {
        "baseline": ffmpeg(picture, "-profile:v", "baseline", "-pix_fmt", "yuv420p", *x264),
        "reordered": ffmpeg(picture, "-profile:v", "main", "-pix_fmt", "yuv420p", "-bf", "2", *x264),
    }
    for name, stream in streams.items():
        units = annex_b_units(stream)
        seed("h264_decoder", name, pieces(*units))
        seed("bitstream", f"h264-{name}", b"\0" + units[0])
        nals = [nal for nal in units[0].replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if nal]
        seed("sps", name, next(nal for nal in nals if nal[0] & 31 == 7))
        packets = [rtp(n, 0, nal, n + 1 == len(nals)) for n, nal in enumerate(nals)]
        seed("rtp_input", f"h264-{name}", b"\0" + pieces(*packets))
    seed("bitstream", "vp8", b"\1" + bytes([0x90, 0x0C, 0, 0x9D, 1, 0x2A, 64, 0, 64, 0]) + bytes(60))
    seed("bitstream", "vp9", b"\2" + bytes([0x82, 0x49, 0x83, 0x42, 0, 3, 0xF0, 3, 0xF6]) + bytes(40))
    seed("bitstream", "av1", b"\3" + bytes([0x12, 0, 0x0A, 1, 0, 0x32, 4, 1, 2, 3, 4]))
    seed("rtp_input", "vp8", b"\1" + pieces(rtp(1, 0, b"\x10\x90\x0c\0\x9d\1\x2a\x40\0\x40\0")))
    seed("rtp_input", "av1", b"\3" + pieces(rtp(1, 0, b"\x10\x0a\x01\0")))
    report = struct.pack("!BBHIQIII", 0x80, 200, 6, 7, 1 << 60, 1000, 1, 1)
    seed("rtp_input", "report", b"\1" + pieces(rtp(1, 0, b"\x10\x90\x0c\0"), report))
    seed("microphone", "in-order", b"".join(struct.pack("<HIBB", n, n * 960, 20, 1) for n in range(30)))
    seed("opus", "silence", bytes([0]) + pieces(b"\xf8\xff\xfe", b"\xfc\xff\xfe", b"\x08\0", b"\x0b\1\2"))

    for rate in [16000, 44100]:
        sound = ffmpeg("sine=duration=0.3", "-ar", str(rate), "-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3")
        seed("mp3", f"{rate}", pieces(sound[: len(sound) // 2], sound[len(sound) // 2 :]))
        seed("speech", f"mp3-{rate}", b"\1" + sound)

    offer = (HERE / "../../signaling/tests/support/offer.sdp").read_text().replace("\r", "").strip()
    channel = (
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\nc=IN IP4 0.0.0.0\na=ice-ufrag:Yx3k\n"
        "a=ice-pwd:nB7dJ0wqv5m2s8LrT4kYhG6c\na=fingerprint:sha-256 0B:30:55:7A:9F:C4:E9:0E:33:58:7D:A2:"
        "C7:EC:11:36:5B:80:A5:CA:EF:14:39:5E:83:A8:CD:F2:17:3C:61:86\na=setup:actpass\na=mid:2\n"
        "a=sctp-port:5000\na=max-message-size:262144"
    )
    lines = (offer + "\n").replace("\n", "\r\n")
    with_channel = (offer.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + "\n" + channel + "\n").replace("\n", "\r\n")
    seed("sdp", "media", lines.encode())
    seed("sdp", "channel", with_channel.encode())
    seed("sdp", "channel-added", f"{lines}\0{with_channel}".encode())
    for path in sorted((HERE / "../../fixtures/sdp").glob("*.sdp")):
        seed("sdp", path.stem, path.read_bytes())
    seed("candidate", "host", b"candidate:1 1 udp 2122260223 192.0.2.7 52000 typ host generation 0 ufrag abcd")
    seed("candidate", "relay", b"a=candidate:3 1 UDP 1 2001:db8::1 9 typ relay raddr 192.0.2.1 rport 8")
    seed("candidate", "mdns", b"candidate:1 1 udp 1 0d7b4a4e-77c6-4a2c-8d35-6d1e6e0f6f52.local 9 typ host")

    hello = bytes([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 8]) + bytes(8)
    binding = struct.pack("!HHI12s", 1, 0, 0x2112A442, b"0123456789ab")
    seed("datagrams", "mixed", pieces(hello, binding, rtp(1, 2, b"sound", kind=111), report))

    head = b"GET /status?session=a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
    seed("http", "get", pieces(head, b"\r\n"))
    seed("http", "body", pieces(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab", b"cGET / HTTP/1.0\r\n\r\n"))
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    seed("http", "chunked", pieces(chunked))
    upgrade = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    seed("http", "upgrade", pieces(head + upgrade))

    def frame(text, opcode=1):
        assert len(text) < 126
        return bytes([0x80 | opcode, 0x80 | len(text), 0, 0, 0, 0]) + text

    messages = [b'{"type":"offer","sdp":"v=0"}', b'{"type":"pong"}', b'{"type":"ice-candidate","data":null}',
                b'{"type":"ice-candidate","data":{"candidate":"","sdpMid":null,"sdpMLineIndex":0}}']
    for n, text in enumerate(messages):
        seed("websocket", f"text-{n}", text)
    seed("websocket", "frames", b"".join(map(frame, messages)) + frame(b"", 9) + frame(b"\x03\xe8", 8))

    seed("film", "y4m", b"YUV4MPEG2 W16 H16 F25:1 C420jpeg\n" + (b"FRAME\n" + bytes(384)) * 2)
    seed("film", "y4m-odd", b"YUV4MPEG2 W17 H19 F30000:1001 Cmono\nFRAME\n" + bytes(17 * 19))
    mp4 = HERE / "seed.mp4"
    for name, sound in {"aac": "aac", "opus": "libopus"}.items():
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi",
                        "-i", "sine=duration=0.2", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", sound,
                        "-ar", "48000", mp4], check=True)
        seed("film", f"mp4-{name}", mp4.read_bytes())
    mp4.unlink()

    def wav(format, bits, samples):
        header = struct.pack("<HHIIHH", format, 1, 16000, 16000 * bits // 8, bits // 8, bits)
        body = b"WAVEfmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", len(samples)) + samples
        return b"RIFF" + struct.pack("<I", len(body)) + body

    seed("wav", "s16", wav(1, 16, bytes(range(200))))
    seed("wav", "s24", wav(1, 24, bytes(range(198))))
    seed("wav", "f32", wav(3, 32, bytes(200)))
    seed("speech", "wav", b"\0" + wav(1, 16, bytes(range(200))))
    seed("speech", "pcm", b"\2" + bytes(range(200)))

    credentials = b"a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n"
    section = b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    candidate = b"a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
    seed("fragment", "trickle", credentials + section + candidate)
    seed("fragment", "restart", b"a=group:BUNDLE 0 1\r\n" + section + credentials + candidate)


main()
