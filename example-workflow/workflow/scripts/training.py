"""What learn.py and forest.py share: the draw of training images, and how predictions are written."""

import numpy as np


def draw(labels, pool, count, seed, repeat):
    """Draw `count` images from the pool, as many of each digit.

    The draw does not depend on the method, and a larger one includes the smaller: curves differ by what is learnt,
    not by what was seen.
    """
    rng = np.random.default_rng([seed, repeat])
    shuffled = [rng.permutation(pool[labels[pool] == digit]) for digit in range(10)]
    return np.concatenate([of_digit[: count // 10] for of_digit in shuffled])


def write_predictions(path, count, labels, test, read_by_repeat):
    """Write one row per repeat and test image; `read_by_repeat` maps a repeat to what was read."""
    with open(path, "w") as file:
        file.write("labels,repeat,image,digit,read_as\n")
        for repeat, read in read_by_repeat.items():
            file.writelines(f"{count},{repeat},{i},{labels[i]},{r}\n" for i, r in zip(test, read, strict=True))
