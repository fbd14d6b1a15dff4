"""Oracles, Merkle trees, layout, query counts and parameters. Spec 01, sections 4 to 6; 04, section 2."""

from functools import lru_cache

from blake3 import blake3

from types import SimpleNamespace

from field import K, Reject, lg, omega, pairs, words
from tape import H, fr, u32

ROLE_Z, ROLE_M, ROLE_X, ROLE_Q, ROLE_E, ROLE_O = 1, 2, 3, 5, 6, 16  # [O2]


@lru_cache(None)
def queries(n, k, lam):
    """Least t with (n+k)^t 2^lam <= (2n)^t. [Q1]"""

    def enough(t):
        return (n + k) ** t << lam <= (2 * n) ** t

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        mid = (low + high) // 2
        low, high = (low, mid) if enough(mid) else (mid, high)
    return high


def layout_digest(shapes):
    """[O4]"""
    data = u32(len(shapes)) + b"".join(u32(len(s)) + b"".join(u32(n) for n in s) for s in shapes)
    return H(fr(b"zerotell/layout") + data)


class Oracle:
    """Parameters of one oracle and what a verifier does with its root. [O1]"""

    def __init__(self, role, field, rows, C, T, n, lam, digest=bytes(32)):
        self.role, self.field, self.rows, self.C, self.T, self.n = role, field, rows, C, T, n
        self.own = rows - 1 if role in (ROLE_E, ROLE_Q) else rows  # the last row of E and Q masks a reply [L14]
        self.c, self.h = lg(C), lg(self.own)
        self.queries = min(n, queries(n, C + T, lam))  # [Q2]
        log_t = 255 if T == 0 else lg(T)
        head = bytes([role, field]) + u32(rows) + bytes([self.c, log_t, lg(n)])
        self.tag = H(fr(b"zerotell/oracle") + head + digest)  # [O3]
        self.leaf_key = blake3(self.tag, derive_key_context="zerotell v1 merkle leaf").digest()  # [M1]
        self.node_key = blake3(self.tag, derive_key_context="zerotell v1 merkle node").digest()
        self.omega = omega(n)
        self.layout = digest
        self.root = None

    def check_valid(self, zk):
        """[O7]"""
        if 8 * (self.C + self.T) > 5 * self.n or self.n > 1 << 26 or not 1 <= self.rows <= 1024:
            raise Reject(f"oracle of role {self.role}: parameters out of bounds")
        if zk and self.T < self.queries:
            raise Reject(f"oracle of role {self.role}: fewer masks than queries")
        if not zk and self.T:
            raise Reject(f"oracle of role {self.role}: a hiding oracle in a proof without zk")

    def oracle_id(self):
        """[O5]"""
        return H(fr(b"zerotell/oracle-id") + self.tag + self.root)

    def x(self, j):
        """Domain point j."""
        return pow(self.omega, j, (1 << 64) - (1 << 32) + 1)

    def leaf(self, j, salt, column):
        """[M3]"""
        return blake3(j.to_bytes(8, "little") + salt + column, key=self.leaf_key).digest()

    def node(self, left, right):
        """[M3]"""
        return blake3(left + right, key=self.node_key).digest()

    def open_columns(self, tape, indices):
        """Reads and checks columns at sorted indices; returns a list of columns of K. [M4] [M5]"""
        salt = 16 if self.T else 0
        width = self.rows * (16 if self.field else 8)
        data = tape.read_bytes("cols", (salt + width) * len(indices))
        known, columns = {}, []
        for i, j in enumerate(indices):
            item = data[i * (salt + width) : (i + 1) * (salt + width)]
            known[j] = self.leaf(j, item[:salt], item[salt:])
            ws = words(item[salt:], "cols")
            columns.append(pairs(ws) if self.field else [K(w) for w in ws])
        self.check_root(tape, known)
        return columns

    def check_root(self, tape, known):
        """[M5]"""
        size = self.n
        while size > 1:
            for i in sorted(known):
                if i ^ 1 not in known:
                    known[i ^ 1] = tape.take(32, "multiproof")
            known = {i >> 1: self.node(known[i & ~1], known[i | 1]) for i in known}
            size >>= 1
        if known[0] != self.root:
            raise Reject(f"oracle of role {self.role}: opened columns do not match the root")


# ---------------------------------------------------------------- layout


def chunks(n):
    """[(offset, e)] of an axis of length n, largest first. [Y1]"""
    out, off = [], 0
    for e in reversed(range(n.bit_length())):
        if n >> e & 1:
            out.append((off, e))
            off += 1 << e
    return out


class Block:
    """Aligned block: address, tensor position in the oracle, chunk per axis."""

    def __init__(self, tensor, parts):
        self.tensor, self.parts = tensor, parts
        self.e = sum(e for _, e in parts)
        self.off = 0


def blocks_of(shapes):
    """All blocks in address order, and the total size. [Y1] [Y3]"""
    out = []
    for tensor, shape in enumerate(shapes):
        combos = [[]]
        for n in shape:
            if len(combos) * n.bit_count() > 1 << 16:
                raise Reject("too many blocks in a layout")  # [P20]
            combos = [c + [ch] for c in combos for ch in chunks(n)]
        out += [Block(tensor, c) for c in combos]
        if len(out) > 1 << 16:
            raise Reject("too many blocks in a layout")  # [P20]
    out.sort(key=lambda b: -b.e)  # stable: tensor, then chunk order
    off = 0
    for b in out:
        b.off = off
        off += 1 << b.e
    return out, off


def product(ns):
    """Product of integers."""
    r = 1
    for n in ns:
        r *= n
    return r


class Layout:
    """Addresses of the entries of an oracle's tensors, row-major per tensor. [Y2]"""

    def __init__(self, shapes):
        self.shapes = shapes
        self.blocks, self.size = blocks_of(shapes)
        self.addresses = [[0] * product(s) for s in shapes]
        for b in self.blocks:
            shape, table = shapes[b.tensor], self.addresses[b.tensor]
            flat = [0]
            for n, (off, e) in zip(shape, b.parts):
                flat = [f * n + off + i for f in flat for i in range(1 << e)]
            for local, f in enumerate(flat):
                table[f] = b.off + local


# ---------------------------------------------------------------- parameters


def fit_masks(n, C, lam, zk):
    """fitT of [Q3]."""
    if not zk:
        return 0
    for T in (128, 256, 512):
        if 8 * (C + T) <= 5 * n and T >= min(n, queries(n, C + T, lam)):
            return T
    raise Reject("no mask length fits this Program and batch size")


def up(a, b):
    """Ceiling of a / b."""
    return -(-a // b)


LADDER = SimpleNamespace(fresh=(32, 2), inner=[(17, 3), (17, 4)], last_max=2560, end=(8, 3))  # a choice that fits any Program


class Sizing:
    """Parameters of the oracles of a proof. [Q4] [Q5] [Q6]"""

    def __init__(self, lam, ladder):
        self.lam, self.ladder = lam, ladder

    def cut(self, N, rows):
        """C of an oracle with N entries."""
        return 1 << max(8, lg(up(max(N, 1), rows)))

    def z_oracle(self, N, zk):
        """[Q4]"""
        rows, rate = self.ladder.fresh
        C = self.cut(N, rows)
        n = C << rate
        return Oracle(ROLE_Z, 0, max(1, up(N, C)), C, fit_masks(n, C, self.lam, zk), n, self.lam)

    def inner_oracle(self, level, w, zk):
        """[Q5]; level counts from 1."""
        inner = self.ladder.inner
        rows, rate = inner[min(level, len(inner)) - 1]
        C = self.cut(w, rows)
        n = C << rate
        return Oracle(ROLE_O + level, 1, up(w, C), C, fit_masks(n, C, self.lam, zk), n, self.lam)

    def end_oracle(self, w):
        """E of [Q6]; zk only."""
        rows, rate = self.ladder.end
        C = self.cut(w, rows)
        n = C << rate
        return Oracle(ROLE_E, 1, up(w, C) + 1, C, fit_masks(n, C, self.lam, True), n, self.lam)

    def plan(self, level0, zk):
        """Inner oracles, length of the last vector and number of rounds. [Q9]"""
        w = sum(o.C + o.T for o in level0)
        rounds = max(o.h for o in level0)
        inner = []
        while w > self.ladder.last_max:
            if len(inner) == 16:
                raise Reject("the ladder does not end")
            o = self.inner_oracle(len(inner) + 1, w, zk)
            inner.append(o)
            rounds += o.h
            w = o.C + o.T
        if zk:
            end = self.end_oracle(w)
            return inner, w, rounds + end.h + end.c
        return inner, w, rounds + lg(w)


def pad_oracle(pads, lam):
    """Q of [Q6]; zk only."""
    C = 1 << lg(pads)
    n = max(16 * C, 1024)
    return Oracle(ROLE_Q, 1, 2, C, fit_masks(n, C, lam, True), n, lam)


def input_oracle(shape, lam, zk):
    """X of [Q8]."""
    N = product(shape)
    target = 16 if N <= 1 << 17 else 32 if N <= 1 << 22 else 64
    C = 1 << max(8, lg(up(N, target)))
    if zk:
        T = max(128, C // 4)
        while True:
            n = 1 << lg(3 * (C + T))
            if n > 1 << 26:
                raise Reject("a committed input is too large")
            if T // min(n, queries(n, C + T, lam)) >= 32:
                break
            T *= 2
    else:
        T, n = 0, 4 * C
    return Oracle(ROLE_X, 0, up(N, C), C, T, n, lam, layout_digest([shape]))
