"""The API does what its description says, whatever is sent: requests made up from the contract."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from devteam.entrypoints import contracts
from tests.functional.test_access import world_ids
from tests.functional.world import World

CHECKS: list[Callable[..., Any]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_DESCRIBED = schemathesis.openapi.from_dict(contracts.document())
OPERATIONS = {result.ok().label: result.ok() for result in _DESCRIBED.get_all_operations() if isinstance(result, Ok)}


@pytest.fixture(scope="module")
def ids(shared_world: World) -> dict[str, str]:
    """Things that are there, so that not every path leads to nothing."""
    return {name: str(value) for name, value in world_ids(shared_world).items()}


@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_answers_are_as_described(label: str, shared_world: World, ids: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {shared_world.admin.token}"}

    @given(case=OPERATIONS[label].as_strategy(), aimed=st.booleans())
    @settings(
        max_examples=10,
        deadline=None,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: "schemathesis.Case[Any]", aimed: bool) -> None:
        for name in case.path_parameters or {}:
            known = ids.get(name.removesuffix("_id"))
            if aimed and known is not None:
                case.path_parameters[name] = known
        case.call_and_validate(base_url=shared_world.origin, checks=CHECKS, headers=headers)

    answers()
