"""A recording in progress: journal first, sealed into a session file afterwards.

HDF5 is not written live: a writer that is killed between two flushes can lose the whole file. `edge.sealing`
makes the file once the recording is over.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge import recording_frames as frames
from edge.errors import BadSession
from edge.journal import SUFFIX, JournalWriter
from edge.recording_frames import Continued, Heading, Kind
from edge.samples import RATE_HZ, KeyPress, Prompt, SampleChunk, SegmentStart
from edge.sealing import recover
from edge.session import LONGEST_S

__all__ = ["Continued", "Heading", "Recorder", "journal_path"]

SYNC_SAMPLES: Final = RATE_HZ  # a power cut costs at most the last second
# Without a heading nobody knows whose samples they are, so none is the only one: two begin the journal (a bit
# that flips takes one), the next follows with the first sync (a bad block takes both), then one each minute.
FIRST_HEADINGS: Final = 2
HEADING_SAMPLES: Final = 60 * RATE_HZ
# By how much a break may be wrong that only the host's clock has measured: what a radio may delay the last
# and the first packet (the 50 ms of jitter that the clock is tested with), and a crystal's 100 ppm.
_DELAYS_S: Final = 2 * 0.05
_CRYSTAL: Final = 1e-4


def journal_path(session_path: Path) -> Path:
    """Where the recording of `session_path` is kept until it is sealed."""
    return session_path.with_name(session_path.name.removesuffix(".hdf5") + SUFFIX)


class Recorder:
    """Takes samples, keys and prompts as they come, and seals them at `path`.

    Keys and prompts may arrive in any order and later than their samples. Where the heading says that the
    session at `path` is continued, the time that has passed since is declared missing. Used as a context
    manager it closes the journal and leaves it, to be sealed by `edge.sealing.recover`. Raises BadSession
    where a recording of that name exists, or does not and is to be continued.
    """

    def __init__(self, path: Path, heading: Heading) -> None:
        self.path = path
        self.heading = heading
        self.samples = 0  # taken, those of a session that is continued not counted
        self._offset: int | None = None  # index in the recording minus index in the stream
        self._next_index = 0  # in the recording
        self._shift_s = 0.0
        self._synced_samples = 0
        self._heading_due = SYNC_SAMPLES  # in samples taken
        self._journal = _claimed(path, continued=heading.continues is not None)
        for _ in range(FIRST_HEADINGS):
            self._journal.append(Kind.HEADING, frames.pack_heading(heading))
        self._journal.sync()

    def add(self, chunk: SampleChunk) -> None:
        """Take the next samples. Raises BadSession unless they follow the last ones without a gap.

        Also where the recording would become longer than a session may be: it is sealed then.
        """
        if len(chunk.time_s) == 0:
            return
        if self._offset is None:
            self._offset = self._begin(chunk) - chunk.first_index
        chunk = self._placed(chunk, self._offset)
        if chunk.first_index != self._next_index:
            raise BadSession(
                f"sample {chunk.first_index - self._offset} follows sample "
                f"{self._next_index - self._offset - 1}; "
                "a source must declare missing samples, not leave them out"
            )
        end = chunk.first_index + len(chunk.time_s)
        if end > LONGEST_S * RATE_HZ:
            raise BadSession(
                f"{self.seal()} lasts {LONGEST_S / 3600:g} h, the most that a session may; "
                "it is kept, go on in another"
            )
        for start in chunk.segments:
            self._journal.append(Kind.SEGMENT, frames.pack_segment(start))
        self._journal.append(Kind.SAMPLES, frames.pack_samples(chunk))
        self._next_index = end
        self.samples += len(chunk.time_s)
        self._secure()

    def add_key(self, press: KeyPress) -> None:
        """Take a key press."""
        shift = self._shift_s
        moved = press._replace(press_s=press.press_s + shift, release_s=press.release_s + shift)
        self._journal.append(Kind.KEY, frames.pack_key(moved))

    def add_prompt(self, prompt: Prompt) -> None:
        """Take a prompt that was performed from start to end."""
        shift = self._shift_s
        moved = prompt._replace(start_s=prompt.start_s + shift, end_s=prompt.end_s + shift)
        self._journal.append(Kind.PROMPT, frames.pack_prompt(moved))

    def seal(self) -> Path:
        """End the recording and give the session's path. Raises NotEnoughData if there was no sample."""
        self.close()
        return recover(journal_path(self.path)).path

    def close(self) -> None:
        """Stop writing; the journal stays."""
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, chunk: SampleChunk) -> int:
        """The index in the recording of the first sample of all."""
        continued = self.heading.continues
        if continued is None:
            return 0
        away_s = float(chunk.time_s[0]) - continued.last_s
        if away_s <= 0:
            if not self.heading.simulated:
                raise BadSession(
                    f"this computer's clock is {-away_s:.1f} s behind the recording's end: it was set back; "
                    "record another session"
                )
            self._shift_s = 1 / RATE_HZ - away_s  # simulated time can run ahead of the clock: it goes on
            away_s = 1 / RATE_HZ
        missing = max(0, round(away_s * RATE_HZ) - 1)
        self._next_index = continued.samples + missing
        uncertain = min(missing, round((_DELAYS_S + _CRYSTAL * away_s) * RATE_HZ))
        for side in self.heading.sides:
            start = SegmentStart(self._next_index, side, "restarted", missing, uncertain)
            self._journal.append(Kind.SEGMENT, frames.pack_segment(start))
        return self._next_index

    def _placed(self, chunk: SampleChunk, offset: int) -> SampleChunk:
        """A chunk in the recording's own numbering and on its clock."""
        return chunk._replace(
            first_index=chunk.first_index + offset,
            time_s=chunk.time_s + self._shift_s,
            segments=tuple(s._replace(first_index=s.first_index + offset) for s in chunk.segments),
        )

    def _secure(self) -> None:
        if self.samples >= self._heading_due:
            self._journal.append(Kind.HEADING, frames.pack_heading(self.heading))
            self._heading_due = self.samples + HEADING_SAMPLES
        if self.samples - self._synced_samples >= SYNC_SAMPLES:
            self._journal.sync()
            self._synced_samples = self.samples


def _claimed(path: Path, *, continued: bool) -> JournalWriter:
    """The journal of a recording at `path`, which is then nobody else's."""
    journal = journal_path(path)
    try:
        writer = JournalWriter(journal)
    except FileExistsError:
        raise BadSession(
            f"{journal} exists: its recording is under way in another process, or was interrupted and has to "
            "be sealed; wait for it, or run: qwrist recover"
        ) from None
    except OSError as error:
        raise BadSession(f"{journal} cannot be written ({error.strerror}); see to its folder") from error
    if path.exists() != continued:  # looked at once the name is ours: another process may just have sealed it
        writer.close()
        journal.unlink()
        raise BadSession(
            f"there is no {path} to continue; record another session"
            if continued
            else f"{path} exists already; choose another name"
        )
    return writer
