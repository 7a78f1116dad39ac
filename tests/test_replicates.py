"""Trainings of one run have names of their own, which no run can have."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from udpdiff.config_values import Name
from udpdiff.replicates import number_of, replicate_names, run_of


def test_the_first_training_is_called_as_its_run():
    assert replicate_names("multi_30_70", 1) == ["multi_30_70"]
    assert replicate_names("multi", 3) == ["multi", "multi-1", "multi-2"]


def test_names_lead_back_to_their_run():
    for number, name in enumerate(replicate_names("multi", 12)):
        assert (run_of(name), number_of(name)) == ("multi", number)
        if number:
            with pytest.raises(ValidationError):
                TypeAdapter(Name).validate_python(name)
