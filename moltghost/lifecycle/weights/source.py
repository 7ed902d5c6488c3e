"""Which file a model store is built from, and whether it is what was asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from moltghost.errors import Refused
from moltghost.models.facts import Download
from moltghost.models.gguf import GgufFile, read_gguf
from moltghost.models.gguf_model import model_of
from moltghost.models.names import ModelChoice
from moltghost.models.pinned import pinned_download
from moltghost.models.project_models import ProjectModels
from moltghost.planning.weights import require_quantizable

_FULL_PRECISION = ("F16", "BF16", "F32")
# Published counts are rounded; tied or repeated tensors move a file's own count by less than this.
_PARAMETERS_TOLERANCE = 0.05
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `weights add` is asked for.

    Args:
        model: name with or without a quantization.
        from_: file or https address; empty takes the catalogue's source.
        sha256: of what ``from_`` names; required for an address.
        quantize: target such as ``q4_K_M``; empty takes the file as it is.
        unchecked: take a file whose header says that it is something else.
        replace: build the store anew even if it is there.
    """

    model: str
    from_: str = ""
    sha256: str = ""
    quantize: str = ""
    unchecked: bool = False
    replace: bool = False


def choose(request: Request, models: ProjectModels) -> ModelChoice:
    """The model and the quantization that the store will have.

    Raises:
        Refused: there is no such model, or the name and ``--quantize`` disagree.
    """
    choice = models.find(request.model)
    if not request.quantize:
        return choice
    target = models.find(f"{choice.model.id}-{request.quantize}")
    if not choice.defaulted and target.quantization != choice.quantization:
        raise Refused(
            f"{request.model} is {choice.quantization}, and --quantize says {request.quantize}",
            f"moltghost weights add {choice.model.id} --quantize {request.quantize}",
        )
    require_quantizable(target)
    return target


def locate(request: Request, choice: ModelChoice) -> Path | Download:
    """Where the source is: a file of this machine, or an immutable reference.

    Raises:
        Refused: nothing is known, or it isn't immutable.
    """
    if not request.from_:
        return _of_catalogue(request, choice)
    if "://" not in request.from_:
        return _file(Path(request.from_).expanduser())
    if not request.from_.startswith("https://"):
        raise Refused(f"--from {request.from_}: only files and https:// are taken")
    if not _SHA256.fullmatch(request.sha256):
        raise Refused(
            f"what {request.from_} holds can change: nothing says which bytes are meant",
            "add --sha256 with the 64 hexadecimal digits that its publisher names",
        )
    return Download(sha256=request.sha256, url=request.from_)


def _of_catalogue(request: Request, choice: ModelChoice) -> Download:
    wanted = _FULL_PRECISION if request.quantize else (choice.quantization,)
    downloads = (pinned_download(choice.model, name) for name in wanted)
    found = next((each for each in downloads if each), None)
    if found:
        return found
    hub = f" (model hub: {choice.model.hf_repo})" if choice.model.hf_repo else ""
    raise Refused(
        f"the catalogue has no immutable source of {choice.model.id} {' or '.join(wanted)}{hub}",
        f"moltghost weights add {choice.name} --from FILE.gguf, or --from https://... --sha256 HEX"
        + ("" if request.quantize else "; --quantize makes it from a file of full precision"),
    )


def _file(path: Path) -> Path:
    if not path.is_file():
        raise Refused(f"there is no file {path}", "name a GGUF file with --from")
    return path.absolute()


def require_match(path: Path, request: Request, choice: ModelChoice) -> None:
    """Hold a GGUF's header against the model that it is to be.

    Raises:
        Refused: it is no GGUF, or another model or quantization.
    """
    file = read_gguf(path)
    if request.unchecked:
        return
    differences = _differences(file, request, choice)
    if differences:
        raise Refused(
            f"{path} isn't {choice.model.id} {choice.quantization}:\n"
            + "\n".join(f"  {each}" for each in differences),
            _way_out(file, request, choice),
        )


def _differences(file: GgufFile, request: Request, choice: ModelChoice) -> list[str]:
    found, wanted = model_of(file), choice.model
    differences = []
    if found.model.shape.architecture != wanted.shape.architecture:
        differences.append(
            f"architecture {found.model.shape.architecture}, not {wanted.shape.architecture}"
        )
    off = abs(found.model.parameters - wanted.parameters) / wanted.parameters
    if off > _PARAMETERS_TOLERANCE:
        differences.append(f"{found.model.parameters} parameters, not {wanted.parameters}")
    if found.model.max_context < wanted.max_context:
        differences.append(
            f"trained for {found.model.max_context} tokens of context, not {wanted.max_context}"
        )
    expected = _FULL_PRECISION if request.quantize else (choice.quantization,)
    if found.quantization not in expected:
        differences.append(f"quantization {found.quantization}, not {' or '.join(expected)}")
    return differences


def _way_out(file: GgufFile, request: Request, choice: ModelChoice) -> str:
    precise = model_of(file).quantization in _FULL_PRECISION
    if precise and not request.quantize:
        word = choice.quantization[0].lower() + choice.quantization[1:]
        return f"--quantize {word} makes {choice.quantization} of it"
    return "give the file of that model, or --unchecked if you know better than its header"
