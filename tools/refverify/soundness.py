"""Soundness terms of one verified proof. Spec 05, section 2."""

from math import log2

from oracle import LADDER, Sizing, pad_oracle


LOG_K = 128 - 6e-10  # log2 of p^2


def field_bits(x):
    """Bits of an error x / #K."""
    return LOG_K - log2(max(1, x))


def query_bits(o):
    """Bits of the queries of one oracle; nothing if everything is opened."""
    if o.queries >= o.n:
        return None
    return o.queries * (log2(2 * o.n) - log2(o.n + o.C + o.T))


def terms(v):
    """[(name, bits)] of a finished Verification. [S5]"""
    c, low = v.counts, v.low
    sizes = [sum((n - 1).bit_length() for n in r.outputs) for r in low.ips]
    sizes += [sum((n - 1).bit_length() for n in r.axes) for r in low.lins]
    sizes += c.dims[-1:] if v.zk else []
    ends = [v.ladder.last, v.ladder.pad] if v.zk else []
    levels = [level.oracles for level in v.ladder.levels]
    return rows(c.leaves, max(sizes, default=1), len(c.dims), v.constraints, levels, ends, v.program.grind)


def rows(leaves, variables, relations, constraints, levels, ends, grind):
    """The table of [S5]; levels are lists of oracles, ends are E and Q with zk."""
    return [
        ("lookups", field_bits(leaves)),
        ("lookup rounds", field_bits(3)),
        ("relation points", field_bits(variables)),
        ("inner-product batch", field_bits(relations)),
        ("inner-product rounds", field_bits(2)),
        ("constraint batch", field_bits(constraints)),
        *opening(levels, ends, grind),
    ]


def link_rows(variables, levels, ends, grind):
    """The terms of a link. [K4]"""
    return [("link point", field_bits(variables)), *opening(levels, ends, grind)]


def opening(levels, ends, grind):
    """The terms of the ladder."""
    folded = [ends[:1]] if ends else []  # E's rows are folded too
    opened = [o for level in [*levels, ends] for o in level]
    queried = [b for b in map(query_bits, opened) if b is not None]
    return [
        ("row folds", min(field_bits(2 + sum(o.n for o in level)) for level in [*levels, *folded])),
        ("query batch", min(field_bits(sum(o.queries for o in level)) for level in levels)),
        ("closing move", field_bits(1 + sum(o.n for o in ends))),
        ("column queries", min(queried) + grind if queried else LOG_K),
    ]


def weakest(v):
    """(name, bits) of the least term."""
    return min(terms(v), key=lambda t: t[1])


def example(N, leaves, ips, lam=100):
    """The terms for a lone Z of size N with zk, as in the table of the spec."""
    sizing = Sizing(lam, LADDER)
    z = sizing.z_oracle(N, True)
    inner, last, rounds = sizing.plan([z], True)
    ends = [sizing.end_oracle(last), pad_oracle(2 * rounds, lam)]
    constraints = (leaves - 1).bit_length() + 8 + 2 * ips + 5
    return rows(leaves, 20, ips + 1, constraints, [[z], *([o] for o in inner)], ends, 0)


if __name__ == "__main__":
    columns = [example(1 << 14, 10**4, 8), example(1 << 18, 2 * 10**5, 8), example(1 << 24, 16 * 10**6, 8)]
    for row in zip(*columns):
        print("|", row[0][0], "|", " | ".join(f"{int(b * 10) / 10:.1f}" for _, b in row), "|")
