"""The evidence that the advice names, for the tests that hold it to studies and tests."""

from losslab.catalogue import advice
from losslab.catalogue.advice import Claim, Remedy, Tested


def remedies() -> list[Remedy]:
    """All remedies of all symptoms."""
    return [remedy for symptom in advice.symptoms() for remedy in symptom.remedies]


def claims() -> list[Claim]:
    """What the advice says of published studies."""
    return [one for remedy in remedies() for one in remedy.evidence if isinstance(one, Claim)]


def tested() -> list[Tested]:
    """What the advice says that a test asserts."""
    return [one for remedy in remedies() for one in remedy.evidence if isinstance(one, Tested)]


def says(test: str) -> str:
    """What the advice says on the ground of the test with this name. Raises LookupError unless it is one statement."""
    found = [one.says for one in tested() if one.test.endswith(f"::{test}")]
    if len(found) != 1:
        raise LookupError(f"{len(found)} statements stand on {test}")
    return found[0]
