"""How fast a metered service may be asked."""

from __future__ import annotations

import threading
import time


class TokenRate:
    """Spaces requests so that no minute sees more tokens than allowed, whatever the threads."""

    def __init__(self, tokens_per_minute: int) -> None:
        self.per_second = tokens_per_minute / 60
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait(self, tokens: int) -> float:
        """Wait for `tokens` to be allowed; seconds waited."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free_at)
            self._free_at = start + tokens / self.per_second
        time.sleep(start - now)
        return start - now
