"""Transcript and proof reader. Spec 01, sections 2 and 3."""

from blake3 import blake3

from field import K, P, Reject, pairs, words

PROOF_VERSION = b"\x02\x00"  # first two bytes of every proof [N4]


def H(data):
    """BLAKE3, 32 bytes. [B3]"""
    return blake3(data).digest()


def fr(data):
    """Length-framed bytes. [B2]"""
    return len(data).to_bytes(8, "little") + data


def u32(x):
    """u32 little endian."""
    return x.to_bytes(4, "little")


class Transcript:
    """The state S and its calls. [T1]"""

    def __init__(self):
        self.state = bytes(32)

    def absorb(self, label, data):
        """[T2]"""
        self.state = H(self.state + b"\x01" + fr(label.encode()) + fr(data))

    def challenge(self, label):
        """[T3]"""
        name = fr(label.encode())
        stream = blake3(self.state + b"\x02" + name)
        kept, seek = [], 0
        while len(kept) < 2:
            word = int.from_bytes(stream.digest(length=8, seek=seek), "little")
            seek += 8
            if word < P:
                kept.append(word)
        self.state = H(self.state + b"\x03" + name)
        return K(*kept)

    def challenges(self, label, count):
        """[T6]"""
        return [self.challenge(label) for _ in range(count)]

    def work(self, nonce):
        """Leading zero bits a nonce (8 bytes) has. [T4]"""
        digest = H(self.state + b"\x04" + fr(b"pow") + nonce)
        return 64 - int.from_bytes(digest[:8], "big").bit_length()

    def indices(self, n, t):
        """[T5]"""
        name = fr(b"query")
        if t >= n:
            found = set(range(n))
        else:
            found, size = set(), 64 + 8 * t
            data = blake3(self.state + b"\x05" + name).digest(length=size)
            seek = 0
            while len(found) < t:
                if seek == size:
                    size *= 2
                    data = blake3(self.state + b"\x05" + name).digest(length=size)
                found.add(int.from_bytes(data[seek : seek + 4], "little") & (n - 1))
                seek += 4
        self.state = H(self.state + b"\x06" + name)
        return sorted(found)


class Tape(Transcript):
    """The verifier's end: reads proof bytes and absorbs them. [T7] [N7]"""

    def __init__(self, proof):
        super().__init__()
        self.proof = proof
        self.at = 0

    def take(self, count, label):
        """Bytes that are not absorbed."""
        if self.at + count > len(self.proof):
            raise Reject(f"{label}: the proof ends too early")
        data = self.proof[self.at : self.at + count]
        self.at += count
        return data

    def read_bytes(self, label, count):
        """A message of count bytes, absorbed."""
        data = self.take(count, label)
        if count:
            self.absorb(label, data)
        return data

    def read(self, label, count):
        """A message of count K elements, absorbed."""
        return pairs(words(self.read_bytes(label, 16 * count), label))

    def grind(self, g):
        """[T4]"""
        if g:
            nonce = self.take(8, "pow")
            if self.work(nonce) < g:
                raise Reject("pow: not enough work")
            self.absorb("pow", nonce)

    def finish(self):
        """Refuses trailing bytes. [N7]"""
        if self.at != len(self.proof):
            raise Reject(f"{len(self.proof) - self.at} bytes too many at the end of the proof")
