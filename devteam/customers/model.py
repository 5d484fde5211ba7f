"""Customers and their priority class."""

from collections.abc import Mapping
from enum import StrEnum


class PriorityClass(StrEnum):
    """How much of the slots a customer gets when several want them."""

    PRIORITY = "priority_customer"
    STANDARD = "standard_customer"
    LOW = "low_priority_customer"


WEIGHTS: Mapping[PriorityClass, float] = {
    PriorityClass.PRIORITY: 1.5,
    PriorityClass.STANDARD: 1.0,
    PriorityClass.LOW: 0.7,
}
