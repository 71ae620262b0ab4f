"""Labelled columns as awkward as float64 allows, for the searches to be tried on."""

import numpy as np
from hypothesis import strategies as st
from sklearn.metrics import f1_score


def sklearn_f1(label, prediction):
    return f1_score(label, prediction, average="weighted", zero_division=0)


ulp_ladder = st.integers(0, 6).map(lambda steps: 0.3 + steps * np.spacing(0.3))
tied = st.integers(0, 4).map(float)
anything = st.floats(-1.7e308, 1.7e308)  # weights may sum to a little more than 1
subnormal = st.integers(-4, 4).map(lambda steps: steps * 5e-324)
huge = st.sampled_from([-1.7e308, -1.6e308, 1.5e308, np.nextafter(1.5e308, 2e308), 1.7e308])


@st.composite
def labelled(draw, columns=1):
    elements = draw(st.sampled_from([ulp_ladder, tied, anything, subnormal, huge]))
    label = [*draw(st.lists(st.sampled_from([0, 1]), max_size=12)), 0, 1]
    size = len(label)
    values = [draw(st.lists(elements, min_size=size, max_size=size)) for _ in range(columns)]
    return [np.array(column) for column in values], np.array(label, np.int8)
