// Measures the level of a microphone, for a meter on the page.

/** Samples per measurement. */
const WINDOW = 1_024;
/** This level, in dBFS, and everything below is reported as 0. */
const FLOOR_DB = -60;

/** Measures a track until stop() is called. */
export class LevelMeter {
  #context;
  #source;
  #interval;

  /**
   * @param {MediaStreamTrack} track
   * @param {number} intervalMs
   * @param {(level: {level: number, dbfs: number}) => void} onLevel `level` from 0, silence, to 1
   */
  constructor(track, intervalMs, onLevel) {
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
    }, intervalMs);
  }

  stop() {
    clearInterval(this.#interval);
    this.#source.disconnect();
    this.#context.close().catch(() => {});
  }
}
