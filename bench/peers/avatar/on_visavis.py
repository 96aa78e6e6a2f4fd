"""An avatar server on visavis: python on_visavis.py PORT. The player page comes with it."""

import sys
import threading
import time

import renderer
import visavis


def pace(per_second):
    number, began = 0, time.monotonic()
    while True:
        yield number
        number += 1
        time.sleep(max(0, began + number / per_second - time.monotonic()))


def speak(face):
    for number in pace(50):
        face.push_audio(renderer.sound(number), rate=renderer.RATE)


with visavis.serve(int(sys.argv[1]), host="127.0.0.1") as server:
    face = server.session(fps=renderer.FPS, video_kbps=1_000)
    threading.Thread(target=speak, args=[face], daemon=True).start()
    for number in pace(renderer.FPS):
        face.push_video(renderer.picture(number))
