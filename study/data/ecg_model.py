"""A dynamical model of the electrocardiogram, with disorders.

Source: McSharry, Clifford, Tarassenko, Smith, A dynamical model for generating
synthetic electrocardiogram signals (2003). A trajectory is drawn to the unit circle,
its angle theta runs once around per beat, and five events P, Q, R, S, T at fixed
angles push the third coordinate z up or down:

    dz/dt = - sum_i a_i dtheta_i exp(-dtheta_i^2 / (2 b_i^2)) - (z - z_0(t))

Started on the circle, the first two coordinates stay there and are their angle, whose
speed is 2 pi over the current R-R interval. What is left is linear in z and is
integrated from step to step with its exact decay. The baseline z_0 follows breathing.
A sixth event between S and T, zero in health, makes the elevated ST segment.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.data.resampling import FloatArray, IntArray

MODEL_RATE_HZ = 500
RESPIRATION_HZ = 0.25
MAYER_HZ = 0.1
_P, _Q, _R, _S, _ST, _T = range(6)
# Angles (rad), amplitudes and widths (rad) of table I of the paper; the ST event is ours.
_ANGLE = np.array([-np.pi / 3, -np.pi / 12, 0.0, np.pi / 12, 0.27 * np.pi, np.pi / 2])
_AMPLITUDE = np.array([1.2, -5.0, 30.0, -7.5, 0.0, 0.75])
_WIDTH = np.array([0.25, 0.1, 0.1, 0.1, 0.35, 0.4])

ABNORMAL_KINDS = {
    "ventricular": "V",
    "supraventricular": "A",
    "fusion": "F",
    "st_elevation": "s",
}
"""Abnormal kind -> annotation symbol."""


@dataclass(frozen=True)
class Morphology:
    """Events P, Q, R, S, ST, T of beats, or of one patient's healthy beat.

    Attributes:
        angle: `(..., 6)` in rad, R at 0.
        amplitude: `(..., 6)`.
        width: `(..., 6)` in rad.
    """

    angle: FloatArray
    amplitude: FloatArray
    width: FloatArray


def patient_morphology(generator: np.random.Generator) -> Morphology:
    """Return the healthy beat `(6,)` of one patient, the published one perturbed."""
    angle = _ANGLE + generator.normal(0.0, 0.05, 6) * (np.arange(6) != _R)
    amplitude = _AMPLITUDE * np.exp(generator.normal(0.0, 0.25, 6))
    width = _WIDTH * np.exp(generator.normal(0.0, 0.12, 6))
    return Morphology(angle=angle, amplitude=amplitude, width=width)


def rr_intervals(
    count: int, mean_seconds: float, deviation_seconds: float, generator: np.random.Generator
) -> FloatArray:
    """Return `count` R-R intervals in seconds whose spectrum has two peaks.

    Gaussian peaks of width 0.01 Hz at the Mayer waves (0.1 Hz) and at respiratory
    sinus arrhythmia (0.25 Hz), power ratio 0.5, random phases (equation 6).
    """
    # One value per mean beat, over a longer stretch so that the peaks are resolved.
    size = max(256, 2 * count)
    frequency = np.fft.rfftfreq(size, d=mean_seconds)
    power = sum(
        share * np.exp(-0.5 * ((frequency - centre) / 0.01) ** 2)
        for share, centre in ((0.5, MAYER_HZ), (1.0, RESPIRATION_HZ))
    )
    phase = generator.uniform(0.0, 2 * np.pi, len(frequency))
    series = np.fft.irfft(np.sqrt(power) * np.exp(1j * phase), size)
    series *= deviation_seconds / series.std()
    intervals: FloatArray = mean_seconds + series[:count]
    return intervals


def draw_kinds(
    count: int, abnormal_fraction: float, generator: np.random.Generator
) -> npt.NDArray[np.str_]:
    """Return the kind of each of `count` beats, abnormal kinds in equal shares."""
    abnormal = round(abnormal_fraction * count)
    turn = generator.permutation(np.array(list(ABNORMAL_KINDS)))
    kinds = np.full(count, "normal", dtype="<U16")
    kinds[generator.permutation(count)[:abnormal]] = np.resize(turn, abnormal)
    return kinds


def disordered(
    healthy: Morphology, kinds: npt.NDArray[np.str_], generator: np.random.Generator
) -> Morphology:
    """Return the events `(n, 6)` of beats of these kinds in one patient."""
    count = len(kinds)
    angle, amplitude, width = (
        np.tile(part, (count, 1)) for part in (healthy.angle, healthy.amplitude, healthy.width)
    )
    amplitude *= np.exp(generator.normal(0.0, 0.06, (count, 6)))
    width *= np.exp(generator.normal(0.0, 0.04, (count, 6)))
    # How far a beat is from its healthy form: mild cases are hard to tell.
    degree = generator.uniform(0.4, 1.2, count)
    fully, half = kinds == "ventricular", kinds == "fusion"
    reach = np.where(fully, degree, np.where(half, 0.5 * degree, 0.0))
    # Ventricular: no P, a wide QRS, T against it; a fusion beat is halfway there.
    amplitude[:, _P] *= np.clip(1.0 - reach, 0.0, 1.0)
    wider = (1.0 + 1.3 * reach)[:, np.newaxis]
    width[:, _Q : _S + 1] *= wider
    # An event's height goes with amplitude times width squared.
    amplitude[:, _Q : _S + 1] *= (1.0 + 0.3 * reach)[:, np.newaxis] / wider**2
    angle[:, _S] += 0.25 * reach
    amplitude[:, _T] *= 1.0 - 2.5 * reach
    early = kinds == "supraventricular"
    # An ectopic P of other form, close before its QRS, and a T that runs together.
    amplitude[early, _P] *= -0.7
    angle[early, _P] += 0.2
    width[early, _T] *= 1.0 - 0.25 * degree[early]
    raised = kinds == "st_elevation"
    amplitude[raised, _ST] = 0.9 * degree[raised]
    return Morphology(angle=angle, amplitude=amplitude, width=width)


def premature_intervals(
    intervals: FloatArray, kinds: npt.NDArray[np.str_], generator: np.random.Generator
) -> FloatArray:
    """Return intervals `(n - 1,)` between beats `(n,)`, some of which come early.

    A ventricular beat comes early and is followed by a full compensatory pause; after a
    supraventricular one the rhythm starts anew.
    """
    changed = intervals.copy()
    shorten = generator.uniform(0.2, 0.4, len(kinds))
    for beat in np.flatnonzero(np.isin(kinds, ["ventricular", "supraventricular"])).tolist():
        early = shorten[beat] * intervals[max(beat - 1, 0)]
        if beat > 0:
            changed[beat - 1] = max(changed[beat - 1] - early, 0.35)
        if beat < len(intervals):
            pause = early if kinds[beat] == "ventricular" else 0.25 * early
            changed[beat] += pause
    return changed


def integrate(peak_seconds: FloatArray, events: Morphology, seconds: float) -> FloatArray:
    """Return z of the model over `seconds` at 500 Hz, `(n,)`.

    Each beat's events are those of its own row; with the beat's own interval they
    widen and move as in the authors' implementation: widths with sqrt(heart rate),
    P and T angles with its square root, Q and S angles with it itself.

    Args:
        peak_seconds: `(m,)` times of the R peaks, ascending.
        events: events `(m, 6)` of each beat.
        seconds: how long to integrate.
    """
    from scipy.signal import lfilter

    time = np.arange(int(seconds * MODEL_RATE_HZ)) / MODEL_RATE_HZ
    turns = np.interp(time, peak_seconds, np.arange(len(peak_seconds), dtype=np.float64))
    beat = np.floor(turns + 0.5).astype(np.int64)
    theta = 2 * np.pi * (turns - beat)
    interval = np.append(np.diff(peak_seconds), 1.0)
    interval[-1] = interval[-2] if len(interval) > 1 else 1.0
    rate = np.clip(interval, 0.5, 1.5)[:, np.newaxis] ** -0.5
    power = np.array([0.5, 1.0, 0.0, 1.0, 0.5, 0.5])
    at = Morphology(events.angle * rate**power, events.amplitude, events.width * rate)
    push = np.zeros(len(time))
    for event in range(events.angle.shape[1]):
        offset = theta - at.angle[beat, event]
        # The shorter way around the circle.
        offset = (offset + np.pi) % (2 * np.pi) - np.pi
        exponent = -0.5 * (offset / at.width[beat, event]) ** 2
        push -= at.amplitude[beat, event] * offset * np.exp(exponent)
    # dz/dt = push - (z - z_0): exact decay, and the mean of both ends for the push.
    decay = np.exp(-1.0 / MODEL_RATE_HZ)
    # 0.005 before scaling is the authors' amplitude, some 5 % of the R peak in z.
    baseline = 0.005 * np.sin(2 * np.pi * RESPIRATION_HZ * time)
    z = lfilter([(1 - decay) / 2, (1 - decay) / 2], [1.0, -decay], push + baseline)
    return np.asarray(z, dtype=np.float64)


def summits(z: FloatArray, position: IntArray) -> IntArray:
    """Return where `z` is highest within 40 ms of each `position`, as annotators mark R.

    Q and S pull the summit a little away from the R event's own angle.
    """
    reach = MODEL_RATE_HZ // 25
    nearby = position[:, np.newaxis] + np.arange(-reach, reach + 1)
    highest = np.argmax(z[nearby], axis=1)
    return np.asarray(nearby[np.arange(len(position)), highest], dtype=np.int64)
