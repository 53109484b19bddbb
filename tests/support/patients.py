"""Patients with a planted difference between their diagnoses."""

import numpy as np
from planted import numbered_reference, parsed_of

N_GENES = 40

REFERENCE = numbered_reference(N_GENES)


def planted_patients(rng, n=90):
    """Two samples a patient; the diagnosis raises a third of the genes."""
    diagnosis = (np.arange(n) // 2) % 3
    shift = 3.0 * (np.arange(N_GENES) % 3 == diagnosis[:, None])
    labels = [None if row >= n - 6 else f"type {diagnosis[row]}" for row in range(n)]
    return parsed_of(
        rng.normal(6, 1, (n, N_GENES)) + shift,
        REFERENCE["symbol"].to_list(),
        [f"sample-{number:03d}" for number in rng.permutation(n)],
        groups=[f"patient-{row // 2}" for row in range(n)],
        labels={"diagnosis": labels},
    )
