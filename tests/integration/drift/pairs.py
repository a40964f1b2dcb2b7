# SPDX-License-Identifier: Apache-2.0
"""Column pairs on which definitions of drift are known to part: (name, reference, current), lists of cells."""

import numpy as np
from sklearn import datasets


def shapes(rng):
    """Samplers of one value each, by name."""
    return {
        "normal": lambda n, s: rng.normal(s, 1, n),
        "uniform": lambda n, s: rng.random(n) + s,
        "heavy": lambda n, s: rng.standard_cauchy(n) + s,
        "log": lambda n, s: np.exp(rng.normal(s, 2, n)),
        "rounded": lambda n, s: np.round(rng.normal(s, 1, n), 1),
        "integers": lambda n, s: rng.poisson(20 + 5 * s, n),
        "few": lambda n, s: rng.integers(0, 4, n) + (rng.random(n) < s) * 1,
        "bits": lambda n, s: (rng.random(n) < .3 + s / 4).astype(int),
        "words": lambda n, s: rng.choice(["red", "green", "blue", "\u00fc, \"q\""], n, p=[.4 - s / 5, .3, .2, .1 + s / 5]),
    }


def generated(rng):
    sizes = [(5, 7), (7, 7), (13, 13), (40, 25), (64, 64), (100, 100), (300, 200), (1000, 800), (1001, 3000), (2048, 2048)]
    for name, draw in shapes(rng).items():
        for n, m in sizes:
            for shift in 0, .4:
                yield f"{name} {n}x{m} shift {shift}", draw(n, 0), draw(m, shift)


def corners(rng):
    normal = rng.normal
    yield "constant, the same", [3.0] * 20, [3.0] * 30
    yield "constant, another", [3.0] * 20, [4.0] * 30
    yield "constant against normal", [0.5] * 50, normal(size=50)
    yield "normal against constant", normal(size=50), [0.5] * 50
    yield "one row each", [1.5], [2.5]
    yield "one row against many", [1.5], normal(size=100)
    yield "two rows", [1.0, 2.0], [2.0, 3.0]
    yield "identical", *(lambda x: (x, x))(normal(size=200))
    yield "disjoint", normal(size=60), normal(100, 1, 70)
    yield "missing values", [*normal(size=80), *[np.nan] * 40], [*normal(size=90), np.nan]
    yield "infinities", [*normal(size=80), np.inf, -np.inf], [*normal(size=90), np.inf]
    yield "missing and infinite", [np.nan, np.inf, *normal(size=60)], [*normal(size=60), np.nan, -np.inf]
    yield "nothing in current", normal(size=30), [np.nan] * 30
    yield "one outlier", normal(size=500), [*normal(1, 1, 500), 1e6]
    yield "offset 1e9", 1e9 + normal(size=500), 1e9 + normal(.3, 1, 400)
    yield "offset 1e15", 1e15 + normal(0, 50, 500), 1e15 + normal(5, 50, 400)
    yield "scale 1e-5", 1e-5 * normal(size=1500), 1e-5 * normal(2, 1, 1500)
    yield "scale 1e-300", 1e-300 * normal(size=300), 1e-300 * normal(size=300)
    yield "scale 1e300", 1e300 * rng.random(1500), 1e300 * rng.random(1500)
    yield "subnormal", 1e-318 * rng.random(200), 1e-318 * rng.random(200)
    yield "negative zero", [0.0, -0.0] * 30, [-0.0, 0.0, 0.0] * 20
    yield "both ends of a double", [*normal(size=50), 1.7e308, -1.7e308], normal(size=50)
    yield "integers with a missing one", [*map(int, rng.poisson(9, 200)), None], list(map(int, rng.poisson(9, 200)))
    yield "integers close together", list(map(int, rng.integers(0, 30, 3000))), list(map(int, rng.integers(0, 32, 3000)))
    yield "wide integers", list(map(int, rng.integers(-10**6, 10**6, 4096))), list(map(int, rng.integers(-10**6, 10**6, 4096)))
    yield "integers of one value", [4] * 30, [4] * 20
    yield "an unseen category", ["a"] * 50 + ["b"] * 50, ["a"] * 50 + ["b"] * 49 + ["c"]
    yield "an unseen category, large", ["a", "b"] * 2000, ["a", "b", "c", "d"] * 700
    yield "a category that is gone", ["a", "b", "c"] * 50, ["a", "b"] * 50
    yield "one category", ["a"] * 30, ["a"] * 40
    yield "two categories", ["x"] * 30 + ["y"] * 20, ["x"] * 10 + ["y"] * 40
    yield "missing words", ["x", None, "y"] * 30, ["x", "y", "y", None] * 20
    yield "true and false", ["True", "False"] * 40, ["True", "True", "False"] * 30
    yield "true and false, one missing", ["True", "False"] * 40, ["True", None, "False"] * 30
    yield "true and false, one missing before", ["True", None, "False"] * 40, ["True", "False"] * 30
    yield "many categories", [f"c{i}" for i in rng.integers(0, 300, 5000)], [f"c{i}" for i in rng.integers(0, 310, 5000)]
    yield "free text", [f"text {i}" for i in range(50)], [f"text {i}" for i in range(20, 70)]
    yield "rare share", rng.integers(0, 8, 20000), [*rng.integers(0, 7, 19999), 7]
    yield "rare share of a normal", normal(size=20000), normal(size=15000)
    yield "large against small", normal(size=30000), normal(.2, 1, 12)
    yield "small against large", normal(size=30), normal(.2, 1, 30000)
    yield "large", normal(size=12000), normal(.03, 1, 11000)
    yield "large and far apart", normal(size=12000), normal(1, 1, 11000)
    yield "co-prime", normal(size=997), normal(.1, 1, 991)
    yield "8191 against 10000", normal(size=8191), normal(.05, 1, 10000)
    yield "exactly 1000", normal(size=1000), normal(size=10)
    yield "exactly 1001", normal(size=1001), normal(size=10)
    for n in 21, 32, 63, 64, 65, 128, 256, 512, 1024, 4096:
        yield f"Sturges at {n}", normal(size=n), normal(size=n)
    for k in 2, 5, 6, 10, 11, 20, 21:
        yield f"{k} values", rng.integers(0, k, 400), rng.integers(0, k, 500)
        yield f"{k} values of a float", rng.integers(0, k, 1500) / 4, rng.integers(0, k, 500) / 4


def real():
    for load in datasets.load_breast_cancer, datasets.load_wine, datasets.load_diabetes, datasets.load_iris:
        data = load()
        half = len(data.data) // 2
        for i, name in list(enumerate(data.feature_names))[:8]:
            column = data.data[:, i]
            yield f"{load.__name__[5:]} {name}, first half", column[:half], column[half:]
            yield f"{load.__name__[5:]} {name}, odd rows", column[::2], column[1::2]


def all_pairs(seed=4):
    rng = np.random.default_rng(seed)
    yield from generated(rng)
    yield from corners(rng)
    yield from real()
