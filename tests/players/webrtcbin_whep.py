"""Watches a WHEP endpoint with GStreamer's webrtcbin and says what came of it.

    python3 webrtcbin_whep.py http://127.0.0.1:8081/whep/default SECONDS

Ends when some pictures and some sound were decoded, when the viewer's resource is gone, or after so many seconds;
then prints one line of JSON. Only Debian's packages are needed; nothing of visavis is in here.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

ENOUGH = 30
RTP = "application/x-rtp,payload={},media={},encoding-name={},clock-rate={}"
VIDEO = RTP.format(96, "video", "VP8", 90000)
AUDIO = RTP.format(97, "audio", "OPUS", 48000) + ",encoding-params=(string)2"
DECODERS = {
    "video": "queue ! rtpvp8depay ! vp8dec ! fakesink name=end signal-handoffs=true",
    "audio": "queue ! rtpopusdepay ! opusdec ! fakesink name=end signal-handoffs=true",
}


def request(method, url, body=None):
    headers = {"Content-Type": "application/sdp"} if body else {}
    made = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        return urllib.request.urlopen(made, timeout=10)
    except urllib.error.HTTPError as error:
        return error


class Watch:
    def __init__(self, url, seconds):
        self.url, self.end = url, time.monotonic() + seconds
        self.decoded = {"video": 0, "audio": 0}
        self.resource = None
        self.told = {"created": None, "ended": None, "code": None, "offer": None}
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.Pipeline.new()
        self.peer = Gst.ElementFactory.make("webrtcbin")
        self.peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.peer)
        for caps in (VIDEO, AUDIO):
            direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.peer.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
        self.peer.connect("on-negotiation-needed", self.make_offer)
        self.peer.connect("pad-added", self.decode)

    def make_offer(self, peer):
        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self.offer))

    def offer(self, promise):
        # The offer lives as long as what it came in.
        made = promise.get_reply()
        offer = made.get_value("offer")
        self.told["offer"] = offer.sdp.as_text()
        self.peer.emit("set-local-description", offer, None)
        reply = request("POST", self.url, self.told["offer"].encode())
        self.told["created"] = reply.status
        _, answer = GstSdp.SDPMessage.new_from_text(reply.read().decode())
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        answer = GstWebRTC.WebRTCSessionDescription.new(kind, answer)
        self.peer.emit("set-remote-description", answer, None)
        self.resource = urllib.parse.urljoin(self.url, reply.headers["Location"])

    def decode(self, _, pad):
        media = pad.get_current_caps().get_structure(0).get_string("media")
        decoder = Gst.parse_bin_from_description(DECODERS[media], True)
        self.pipeline.add(decoder)
        decoder.get_by_name("end").connect("handoff", self.count, media)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    def count(self, _sink, _buffer, _pad, media):
        self.decoded[media] += 1

    def look(self):
        if self.resource:
            reply = request("GET", self.resource)
            if reply.status != 204:
                self.told["ended"] = reply.status
                self.told["code"] = json.loads(reply.read())["code"]
        is_enough = min(self.decoded.values()) >= ENOUGH
        if is_enough or self.told["ended"] or time.monotonic() > self.end:
            self.loop.quit()
        return True

    def run(self):
        GLib.timeout_add(100, self.look)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        print(json.dumps({**self.told, **self.decoded}), flush=True)
        # Its threads need not be waited for.
        os._exit(0)


Gst.init(None)
Watch(sys.argv[1], float(sys.argv[2])).run()
