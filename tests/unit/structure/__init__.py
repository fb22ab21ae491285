import pytest

pytest.register_assert_rewrite("tests.unit.structure.plain_meta", "tests.unit.structure.meta.calls")
