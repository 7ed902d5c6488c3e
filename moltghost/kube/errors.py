"""What goes wrong with an API server, as classes that callers can tell apart."""

from __future__ import annotations

from moltghost.errors import Failed, Refused


class ApiError(Failed):
    """The API server said no.

    Args:
        status: the HTTP status.
        reason: the machine-readable reason, e.g. ``AlreadyExists``.
        message: what the server said.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Unauthorized(ApiError):
    """401: the server doesn't know who asks."""


class Forbidden(ApiError):
    """403: the server knows who asks, and they don't have the right; or admission refused it."""


class NotFound(ApiError):
    """404: there is no such object, or not the namespace that it should be in."""


class AlreadyExists(ApiError):
    """409 for a creation: there is an object of that name."""


class Conflict(ApiError):
    """409 for a change: the object isn't, or is no longer, what the request says that it is."""


class Invalid(ApiError):
    """422: the server understands the object and doesn't accept it."""


class Unreachable(Failed):
    """The API server doesn't answer."""


class NoCredentials(Unreachable):
    """The API server can't be asked: what the kubeconfig says gives no credentials."""


class UnknownKind(Refused):
    """The API server doesn't have this kind."""


# https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go
_CLASSES: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Invalid,
}


def api_error(status: int, reason: str, message: str) -> ApiError:
    """Return the error of an answer; of the class of its status, where that has one."""
    kind = AlreadyExists if reason == "AlreadyExists" else _CLASSES.get(status, ApiError)
    return kind(status, reason, message)
