"""Random messages from a seed; the same ones as traffic.mjs and the judged client's traffic.rs make from it.

All three end with the same state, which the judge compares: so nobody can have played something else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MASK = 0xFFFF_FFFF
LARGEST = 1 << 20
IN_FLIGHT_BYTES = 32 * 1024
ASCII = ['{"symbol":"', "KRW", "USD", '","price":', "1398.5", ',"volume":', "120000", ',"time":"2026-11-26T', "09:00:0", '"}', " ", "bid", "ask", "null", "true", "false"]
KOREAN = ["소통", "안녕하세요", "시세", "거래량", "서울", "부산", "메시지", "연결", "되었습니다", "보냈습니다", "받았습니다", "오늘", "내일", "값", "가격", "표"]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass
class Message:
    payload: str | bytes
    bytes: int
    parts: int

    def pieces(self) -> list[str] | list[bytes]:
        length = max(1, -(-len(self.payload) // self.parts))
        return [self.payload[at:at + length] for at in range(0, len(self.payload), length)] or [self.payload]


class Traffic:
    def __init__(self, seed: int):
        self.state = seed & MASK or 1
        self.made = 0

    def next(self) -> int:
        x = self.state
        x ^= (x << 13) & MASK
        x ^= x >> 17
        x ^= (x << 5) & MASK
        self.state = x
        return x

    def below(self, bound: int) -> int:
        return self.next() % bound

    def batches(self, count: int) -> Iterator[list[Message]]:
        """Messages that are in flight together: each batch is read back before the next is sent."""
        while self.made < count:
            batch, left, size = [], 1 + self.below(16), 0
            while left > 0 and size < IN_FLIGHT_BYTES and self.made < count:
                batch.append(self.message())
                size += batch[-1].bytes
                left -= 1
            yield batch

    def message(self) -> Message:
        size, kind = self.size(), self.below(3)
        compressible, parts = self.below(4) != 0, 2 + self.below(4) if self.below(4) == 0 else 1
        self.made += 1
        if kind == 1:
            payload = self.words(KOREAN, size // 3) if compressible else self.syllables(size // 3)
            return Message(payload, 3 * len(payload), parts)
        if kind == 2:
            return Message(self.words(ASCII, size).encode() if compressible else self.noise(size), size, parts)
        return Message(self.words(ASCII, size) if compressible else self.letters(size), size, parts)

    def size(self) -> int:
        """The first message is empty and the second as large as any; of the others most are small."""
        if self.made < 2:
            return self.made * LARGEST
        share = self.below(400)
        if share < 20:
            return 0
        for end, bound in ((240, 128), (352, 4096), (392, 65536), (399, 262144)):
            if share < end:
                return self.below(bound)
        return self.below(LARGEST + 1)

    def words(self, words: list[str], size: int) -> str:
        parts, length = [], 0
        while length < size:
            word = words[self.below(16)]
            parts.append(word)
            length += len(word)
        return "".join(parts)[:size]

    def letters(self, size: int) -> str:
        parts: list[str] = []
        while len(parts) < size:
            drawn = self.next()
            parts += [ALPHABET[drawn >> shift & 63] for shift in (0, 6, 12, 18, 24)]
        return "".join(parts[:size])

    def syllables(self, size: int) -> str:
        parts: list[str] = []
        while len(parts) < size:
            drawn = self.next()
            parts += [chr(0xAC00 + (drawn & 0xFFFF) % 11172), chr(0xAC00 + (drawn >> 16) % 11172)]
        return "".join(parts[:size])

    def noise(self, size: int) -> bytes:
        return b"".join(self.next().to_bytes(4, "little") for _ in range(-(-size // 4)))[:size]
