import array, math, time, visavis

with visavis.serve(port=0, host="127.0.0.1") as server:
    face, began = server.session(fps=25), time.monotonic()
    print(server.url, flush=True)
    for n in range(100_000):
        bar = n * 8 % 224
        face.push_video((bytes(bar * 3) + b"\xff" * 96 + bytes((224 - bar) * 3)) * 256, 256, 256, "rgb")
        tone = (round(8_000 * math.sin(math.tau * 440 * at / 24_000)) for at in range(n * 960, n * 960 + 960))
        face.push_audio(array.array("h", tone), rate=24_000)
        time.sleep(max(0, began + n * 0.04 - time.monotonic()))
