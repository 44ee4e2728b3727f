"""OpenFeature's view of the file: whatever uses its API asks the same flags."""

from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, TypeVar

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    FlagNotFoundError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from weft.flags.document import Document, Feature, Flag, chosen

_ALL: Final = 100.0
Value = TypeVar("Value")


class FileProvider(AbstractProvider):
    """Answers from the document that it was given last.

    A feature is a boolean flag; the user is the context's targeting key, and a share of users
    needs one. A fault is a boolean, and by its value a float or an integer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._flags: Mapping[str, Flag] = {}

    def replace(self, document: Document) -> None:
        """Answer from `document` from now on, and tell OpenFeature's handlers what changed."""
        old, self._flags = self._flags, document.flags
        changed = [
            name for name in {**old, **self._flags} if old.get(name) != self._flags.get(name)
        ]
        if changed:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))

    def get_metadata(self) -> Metadata:
        return Metadata(name="weft file")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        flag = self._find(flag_key)
        if not isinstance(flag, Feature):
            return FlagResolutionDetails(value=True, reason=Reason.STATIC)
        about = {"owner": flag.owner, "since": flag.since.isoformat()}
        if flag.percent in (0.0, _ALL):
            on = flag.percent == _ALL
            return FlagResolutionDetails(value=on, reason=Reason.STATIC, flag_metadata=about)
        user = evaluation_context.targeting_key if evaluation_context else None
        if not user:
            raise TargetingKeyMissingError(f"{flag_key} is for a share of users")
        on = chosen(flag_key, flag.percent, user)
        return FlagResolutionDetails(value=on, reason=Reason.SPLIT, flag_metadata=about)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return FlagResolutionDetails(value=self._value(flag_key), reason=Reason.STATIC)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        return FlagResolutionDetails(value=round(self._value(flag_key)), reason=Reason.STATIC)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        self._mismatch(flag_key)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        self._mismatch(flag_key)

    def _find(self, name: str) -> Flag:
        flag = self._flags.get(name)
        if flag is None:
            raise FlagNotFoundError(name)
        return flag

    def _value(self, name: str) -> float:
        flag = self._find(name)
        if isinstance(flag, Feature):
            self._mismatch(name)
        return flag.value

    def _mismatch(self, name: str) -> NoReturn:
        self._find(name)
        raise TypeMismatchError(name)


class Features:
    """The features of a service: who has which. Without a file nobody has any."""

    def __init__(self) -> None:
        self._client = api.get_client()

    def has(self, user: str, feature: str) -> bool:
        """Tell whether `user` has `feature`."""
        return self._client.get_boolean_value(
            feature, default_value=False, evaluation_context=EvaluationContext(user)
        )
