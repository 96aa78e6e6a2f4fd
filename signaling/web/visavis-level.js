// How loud a microphone is, for a meter that shows a visitor that it works.

/** Samples looked at each time. */
const WINDOW = 1_024;
/** What counts as silence, in dB below full scale. */
const FLOOR_DB = -60;

/** Listens to a track until it is stopped. */
export class LevelMeter {
  #context;
  #source;
  #interval;

  /**
   * @param {MediaStreamTrack} track
   * @param {number} everyMs
   * @param {(level: {level: number, dbfs: number}) => void} onLevel `level` from 0, silence, to 1
   */
  constructor(track, everyMs, onLevel) {
    this.#context = new AudioContext();
    this.#context.resume().catch(() => {});
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = WINDOW;
    this.#source.connect(analyser);
    const samples = new Float32Array(WINDOW);
    this.#interval = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / WINDOW;
      const dbfs = Math.max(FLOOR_DB, 10 * Math.log10(power + 1e-12));
      onLevel({ level: 1 - dbfs / FLOOR_DB, dbfs });
    }, everyMs);
  }

  stop() {
    clearInterval(this.#interval);
    this.#source.disconnect();
    this.#context.close().catch(() => {});
  }
}
